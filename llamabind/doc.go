// Package llamabind runs models on llama.cpp with residual blocks left out of its own compute graph. It is the only package
// with cgo, and no C type shows in its API.
//
// # How the edit works
//
// libllama builds its graph as ever and asks for it to be allocated. That one call is renamed at compile time to a function of
// ours (hook.cpp; the build is described in third_party/llama.cpp), which edits the graph with public ggml calls and then calls
// the real one:
//
//   - analyse.cpp walks the graph from the logits back to the embeddings along the residual stream and finds every place where
//     a block's output is added to it. It knows structure and weight names, no architectures. A graph that is not fully
//     understood is refused ([engine.UnsupportedArch]).
//   - edit.cpp takes blocks out, starts at a stream captured before, and puts the graph together again in its original order.
//   - tap.cpp follows an output projection's product into the stream: what a repair must know of its way.
//   - nll.cpp computes the likelihood of the targets inside the graph, in chunks.
//   - session.cpp holds a context, runs these decodes and, when opened, compares an edit that changes nothing with no edit.
//
// shim.h is the flat C surface between the two languages: no C++ exception leaves it, every failure is a status and a text,
// and ggml assertions on the calling thread become errors, too. edge.h is where that happens, own.h and llama.cpp's smart
// pointers free what an exception leaves behind, and memory.go says how memory crosses.
//
// # Concurrency
//
// A [Model] may be shared by sessions; a [Session] is used by one goroutine at a time. Cancelling the context of a call sets a
// flag (cancel.h) that llama.cpp polls between the nodes of a graph (CPU, Metal) and that we poll between decodes elsewhere.
package llamabind
