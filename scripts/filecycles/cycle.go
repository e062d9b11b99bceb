package main

import (
	"maps"
	"slices"
)

// largestCycle returns the nodes of the largest strongly connected part of a graph, sorted; none if no two nodes reach each other.
// Of parts of the same size it is the first by name.
func largestCycle(uses map[string]map[string]bool) []string {
	reach := map[string]map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(uses)) {
		reach[from] = reachable(uses, from)
	}
	var largest []string
	for _, a := range slices.Sorted(maps.Keys(reach)) {
		part := []string{a}
		for b := range reach[a] {
			if b != a && reach[b][a] {
				part = append(part, b)
			}
		}
		if len(part) > 1 && len(part) > len(largest) {
			largest = slices.Sorted(slices.Values(part))
		}
	}
	return largest
}

// reachable returns the nodes that start reaches over one use or more.
func reachable(uses map[string]map[string]bool, start string) map[string]bool {
	seen := map[string]bool{}
	for todo := []string{start}; len(todo) > 0; {
		from := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for to := range uses[from] {
			if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	return seen
}
