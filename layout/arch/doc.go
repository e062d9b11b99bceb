// Package arch is what is known of architectures: facts that llama.cpp's source states and no file does. Nothing here plans or writes.
//
// Of tells what the loader of llama.cpp makes of a model's metadata, and which Traits its architecture has. The tables are in table.go,
// and the rules that they name in rules.go. deci.go has the architectures that deci can stand for, names.go and half.go what tensor names
// mean, arrays.go which arrays of the metadata have one element per layer.
package arch
