// Package gguf reads and writes GGUF, the file format in which llama.cpp keeps a model, and changes nothing that it is not
// told to change: metadata travels as raw bytes, tensors are streamed.
//
// # The format
//
// A file has a header, metadata, tensor descriptions, and tensor data. All numbers are little-endian.
//
//	 byte 0
//	+--------+-----------+------------+-------------+
//	| "GGUF" | version   | n_tensors  | n_kv        |            header, 24 bytes
//	| 4 B    | uint32    | uint64     | uint64      |
//	+--------+-----------+------------+-------------+
//	| key: string | value type: uint32 | payload    |  x n_kv    metadata
//	+-------------+--------------------+------------+
//	| name: string | n_dims: uint32 | dims: uint64  |
//	|    x n_dims | type: uint32 | offset: uint64   |  x n_tensors
//	+-------------+--------------+------------------+
//	| zeros up to a multiple of the alignment       |
//	+-----------------------------------------------+  <- data section: offsets count from here
//	| data of tensor 0 | zeros up to the alignment  |
//	| data of tensor 1 | zeros up to the alignment  |
//	| ...                                           |
//	+-----------------------------------------------+
//
// A string is its length in bytes (uint64) and the bytes, without a final zero; a key has 1 to 65535 bytes.
//
// The payload of a value depends on its type:
//
//	id  type     payload          id  type     payload
//	 0  uint8    1 byte            7  bool     1 byte, 0 is false
//	 1  int8     1 byte            8  string   length and bytes
//	 2  uint16   2 bytes           9  array    element type uint32, count uint64, payloads
//	 3  int16    2 bytes          10  uint64   8 bytes
//	 4  uint32   4 bytes          11  int64    8 bytes
//	 5  int32    4 bytes          12  float64  8 bytes
//	 6  float32  4 bytes
//
// KV.Raw is the value type with the payload, as they lie in the file.
//
// dims is in ggml's order: dims[0] is the length of a row, whose elements are neighbours in memory. The elements of a type
// are packed in blocks (Type.BlockSize elements in Type.TypeSize bytes) that never cross a row, so a row is a whole number
// of blocks and rows can be moved without decoding them. A tensor takes
//
//	dims[0] / BlockSize * TypeSize * dims[1] * dims[2] * dims[3]   bytes
//
// The alignment is the metadata's general.alignment (uint32, a power of two), 32 where there is none. Every offset is a
// multiple of it. Versions 2 and 3 are the same but for big-endian files, which only version 3 knows and which are refused.
//
// # Split models
//
// A model may be split into the files NAME-00001-of-0000N.gguf to NAME-0000N-of-0000N.gguf. Each is a GGUF file with
// split.no (from 0) and split.count; the first also has split.tensors.count and the model's metadata. Each has its own
// alignment and offsets. Open takes any of them and shows all as one File: the tensors of all, the metadata of the first
// without the keys split.*.
//
// # What is refused
//
// A model file may come from anywhere, so nothing in it is believed. Open refuses, with an error of one line:
//   - what is no regular file, is empty, does not start with GGUF, is of version 1 or above 3, or is big-endian;
//   - lengths and counts beyond the end of the file, before any memory is taken for them, and metadata above 512 MB;
//   - empty or repeated keys, unknown value types, arrays of arrays;
//   - an alignment that is no uint32 or no power of two;
//   - tensors without a name, with one of more than 63 bytes, or named twice; with 0 or more than 4 dimensions, a dimension
//     of 0, a product that overflows, a type that llama.cpp v0.5.0 does not know, rows that are no multiple of the block;
//   - tensor data that is not aligned, overlaps, or lies beyond the end of the file (a truncated download);
//   - a split model whose shards are missing, mixed up, or do not add up;
//   - general.architecture that is no string, block_count that is no integer;
//   - anything that gguf-parser-go, a reader of other authors, refuses or reads differently (door.go).
//
// # Writing
//
// A Plan lists metadata and tensors; WriteTemp makes one version 3 file of it, never a split one: to a temporary file in the
// output's folder, whose space is reserved first, synced to the disk. Pending.Commit gives it its name without replacing a
// file that is there, and syncs the folder. So the output's name only ever belongs to a complete file. The offsets are as
// small as the order of the tensors allows, as llama.cpp demands, and the data of the last tensor is padded, too.
//
// It runs on Linux and macOS.
package gguf
