// Package cli is the command line: one file with one command type, its flags and its usage text for each command. The
// work is done by package pipeline, the printing by package ui.
//
// Flags that llama.cpp's tools have keep their names and meaning (-m, -f, -c, -b, -ub, -t, -ngl, -fa, --chunks, --seed,
// --device, --main-gpu, --split-mode, --tensor-split, --rpc). Results go to standard output, everything else to standard
// error; with --json standard output holds one object that docs/CLI_JSON.md documents. Exit codes are in errors.go.
package cli
