// Package llamatest tests the jobs on llama.cpp itself, with the small model of testdata: what package prune writes, checks,
// quantises, repairs and compares. The jobs' own packages are tested without it.
package llamatest
