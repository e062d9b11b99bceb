// Package modelref finds models by the names that people have for them, in the folders where other programs keep them. It reads
// file systems and nothing else: nothing is downloaded, and no weights are read.
//
//	path                        a GGUF file; of a split model any of its files
//	ollama:llama3.2:3b          a model of Ollama's store, named as ollama run names it
//	lmstudio:publisher/model    a model of LM Studio's folder; /file.gguf or @q4_k_m behind it where it has several
//	-hf user/repo:quant         a repository in llama.cpp's or Hugging Face's cache, with llama.cpp's rules
//
// Ollama's store is a folder of manifests and one of blobs. A manifest lists layers by SHA-256: the GGUF file, and the
// template, parameters, system prompt and licences that belong to it. Ref.Ollama has them, so that a model that is made from
// this one can take them along. The hash of the GGUF file is only handed on (Ref.SHA256): who reads the file anyway can check it
// at no cost.
package modelref
