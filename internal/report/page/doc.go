// Package page says what a search found and what was made of it: as one HTML page, as charts in files, and as a model card.
//
// The page is for people who decide whether to use a pruned model. It is a single file without a script. It asks for nothing from
// anywhere (a Content-Security-Policy in it forbids that as well), and is read with the mouse, the keyboard, a screen reader or on
// paper. Colour is never the only signal: measured and estimated points have different shapes, cells of the heat map have their
// number in them or in their tooltip, and the numbers of each figure are in a table, too.
//
//	Input -> newPage -> page   what is said, as text and charts, with no mark-up
//	         page -> HTML      assets/page.html, with the charts drawn by package chart
//	         page -> Charts    the same charts as files
//	         page -> Card      assets/card.md: Markdown with YAML front matter
//
// Names and paths come from files that anybody may have made. They are text wherever they go: html/template escapes them in HTML
// and SVG, the card has its own quoting for YAML and Markdown, and control characters are replaced on the way in ([clean]).
//
// The package is pure: it reads no file and asks no model.
package page
