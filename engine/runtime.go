package engine

import (
	"context"
	"log/slog"
)

// Runtime loads and runs models.
type Runtime interface {
	// Load loads the GGUF file at path (the first shard of a split one).
	Load(ctx context.Context, path string, p ModelParams) (Model, error)
	// NewChatTemplate parses a template in Jinja, or takes the name of one that the runtime has. bos and eos are the texts of these tokens, "" for none.
	NewChatTemplate(source, bos, eos string) (ChatTemplate, error)
	Codec
	Quantizer

	Version() Version
	Devices() []Device
	PhysicalCores() int // the default number of threads
	// SetLogger routes the runtime's log into l; nil discards it, which is the default.
	SetLogger(l *slog.Logger)
}

// Version identifies a build of llama.cpp.
type Version struct {
	Tag  string // of its release
	Tree string // git's hash of its source tree
}

// Device is a device that weights can be placed on.
type Device struct {
	Name, Description string // Name is what --device takes
	Type              string // cpu, gpu, igpu or accel
	Free, Total       uint64 // bytes
}

// ModelParams says where a model goes. The zero value is the CPU; names and meanings are llama.cpp's.
type ModelParams struct {
	NGPULayers  int       // -ngl: layers on the GPU, -1 = all
	Devices     []string  // --device: names of [Device]; "none" alone = no offload
	MainGPU     int       // --main-gpu
	SplitMode   string    // --split-mode: none, layer (default), row
	TensorSplit []float32 // --tensor-split: share of each device
	RPC         []string  // --rpc: host:port of llama.cpp's rpc-server
	NoMmap      bool      // --no-mmap
	NoRepack    bool      // --no-repack: weights as they are in the file, slower on the CPU
}

// ModelInfo is what llama.cpp says of a loaded model.
type ModelInfo struct {
	Arch, Desc             string
	NVocab, NLayer         int
	NEmbd, NCtxTrain       int
	Params, Size           uint64 // weights, bytes
	HasEncoder, HasDecoder bool
	Recurrent, Diffusion   bool
	HasVocab               bool // there is a tokenizer
	ChatTemplate           string
}

// Model is a loaded model. Close it after its sessions.
type Model interface {
	Tokenizer
	Info() ModelInfo
	EOS() Token                         // -1 if the model has none
	EOG(t Token) bool                   // whether t ends a generation
	Piece(t Token, special bool) string // the text of a token; special also renders control tokens

	// NewSession creates a context. Unless p.Unedited, it finds the model's blocks; a model whose graph is not understood gives
	// an [Error] with code [UnsupportedArch] that says why.
	NewSession(ctx context.Context, p SessionParams) (Session, error)
	NewBench(p BenchParams) (Bench, error)
	// Generate continues prompt greedily by up to n tokens, in a context of its own.
	Generate(ctx context.Context, prompt string, n, threads int) (string, error)
	Close()
}
