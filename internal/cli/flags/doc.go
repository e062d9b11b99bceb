// Package flags holds the groups of flags that commands share, and what help, completions and the manual page read from a flag.
//
// Every group has the same shape. Its fields that are set before AddFlags choose between variants. AddFlags adds the flags to a
// command's set, and Resolve, after the command line is read, checks them and returns what a job takes:
//
//	type Group struct{ ... }
//	func (g *Group) AddFlags(fs *pflag.FlagSet)
//	func (g *Group) Resolve(...) (T, error)
//
// A flag is defined once, in a [Section] with a heading. Its usage text begins with its value's placeholder in back quotes, as
// in pflag; the default is added where the text does not state it. Errors of Resolve are an [Error], unless a file is at fault.
//
// Flags that llama.cpp's tools have keep their names and meaning (-m, -f, -c, -b, -ub, -t, -ngl, -fa, --chunks, --seed,
// --device, --main-gpu, --split-mode, --tensor-split, --rpc).
package flags
