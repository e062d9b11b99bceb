// Package chart draws what the report shows: curves, heat maps and maps of blocks. It knows how a drawing is laid out, and nothing of
// plans or reports.
//
//	values -> Plot, Heat, BlockMap   geometry: y grows downwards, one unit is a pixel where the page is wide
//	       -> HTML                   an SVG inside a page, which brings the style sheet ([CSS])
//	       -> Draw                   files of their own: an SVG with the style sheet in it, and a PNG drawn by go-analyze/charts
//	       -> Panels                 several curves of several series in one SVG
//
// Texts are escaped by html/template on their way into an SVG. Control characters are the caller's to replace.
package chart
