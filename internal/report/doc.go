// Package report writes what is to be said of a plan, and of the file that was made by it: an HTML page, a model card, charts.
//
//	OfPlan, OfPrune -> page.Input      what is known, from files or from a finished prune
//	page.Input      -> Files.Write     drawn by package page, written here
//
// Run is the command "report": OfPlan and Write.
package report
