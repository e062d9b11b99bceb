// Package find finds what to remove from a source: it measures with the engine, lets a strategy of package search/strategy decide, watches
// how far that has come, and makes the plan.
package find
