// Package render prints results: for each command the tables and lines that people read, and the one object of --json, which
// docs/CLI_JSON.md documents. It works nothing out and knows no flags. One function for each kind of result prints both forms
// through a [ui.UI], which decides which of them is seen.
package render
