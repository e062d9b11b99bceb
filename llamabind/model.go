package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"math"
	"unsafe"

	"github.com/ggufprune/ggufprune/perplexity"
)

// ModelParams says where a model goes. The zero value is the CPU; names and meanings are llama.cpp's.
type ModelParams struct {
	NGPULayers  int       // -ngl: layers on the GPU, -1 = all
	Devices     []string  // --device: names as in [Devices]; "none" alone = no offload
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
	bos, eos               perplexity.Token
	addBOS, addEOS         bool
}

// Model is a loaded model. Close it after its sessions.
type Model struct {
	c    *C.bp_model
	info ModelInfo
}

// LoadModel loads the GGUF file at path (the first shard of a split one).
func LoadModel(ctx context.Context, path string, p ModelParams) (*Model, error) {
	start()
	if err := ctx.Err(); err != nil {
		return nil, &Error{Code: Cancelled, Op: "load model", Text: "cancelled"}
	}
	if err := addRPC(p.RPC); err != nil {
		return nil, err
	}
	if err := checkMainGPU(p.MainGPU); err != nil {
		return nil, err
	}
	var a arena
	defer a.free()
	cancel := newCancel()
	defer C.bp_cancel_free(cancel)
	stop := onCancel(ctx, cancel)
	m := &Model{}
	var cerr C.bp_err
	st := C.bp_model_load(a.str(path), cModelParams(&a, p), cancel, &m.c, &cerr)
	stop()
	if err := toError("load model", st, &cerr); err != nil {
		return nil, err
	}
	var ci C.bp_model_info
	if err := toError("load model", C.bp_model_get_info(m.c, &ci, &cerr), &cerr); err != nil {
		m.Close()
		return nil, err
	}
	m.info = readInfo(m.c, &ci)
	return m, nil
}

// cModelParams copies p to a.
func cModelParams(a *arena, p ModelParams) *C.bp_model_params {
	cp := &array[C.bp_model_params](a, 1)[0]
	cp.n_gpu_layers = C.int32_t(p.NGPULayers)
	cp.main_gpu = C.int32_t(p.MainGPU)
	cp.split_mode = a.str(p.SplitMode)
	cp.no_mmap = C.bool(p.NoMmap)
	cp.no_repack = C.bool(p.NoRepack)
	cp.n_devices = C.int32_t(len(p.Devices))
	cp.devices = a.strs(p.Devices)
	cp.n_tensor_split = C.int32_t(len(p.TensorSplit))
	cp.tensor_split = a.floats(p.TensorSplit)
	return cp
}

func readInfo(m *C.bp_model, c *C.bp_model_info) ModelInfo {
	info := ModelInfo{
		Arch: C.GoString(&c.arch[0]), Desc: C.GoString(&c.desc[0]),
		NVocab: int(c.n_vocab), NLayer: int(c.n_layer), NEmbd: int(c.n_embd), NCtxTrain: int(c.n_ctx_train),
		Params: uint64(c.n_params), Size: uint64(c.size),
		HasEncoder: bool(c.has_encoder), HasDecoder: bool(c.has_decoder),
		Recurrent: bool(c.recurrent), Diffusion: bool(c.diffusion), HasVocab: bool(c.has_vocab),
		bos: perplexity.Token(c.bos), eos: perplexity.Token(c.eos), addBOS: bool(c.add_bos), addEOS: bool(c.add_eos),
	}
	if t := C.bp_model_chat_template(m); t != nil {
		info.ChatTemplate = C.GoString(t)
	}
	return info
}

// Close frees the model.
func (m *Model) Close() {
	if m.c != nil {
		C.bp_model_free(m.c)
		m.c = nil
	}
}

// Info returns what llama.cpp says of the model.
func (m *Model) Info() ModelInfo { return m.info }

// BOS returns the beginning-of-sequence token, -1 if the model has none.
func (m *Model) BOS() perplexity.Token { return m.info.bos }

// EOS returns the end-of-sequence token, -1 if the model has none.
func (m *Model) EOS() perplexity.Token { return m.info.eos }

// AddBOS reports whether the model wants BOS in front of a text.
func (m *Model) AddBOS() bool { return m.info.addBOS }

// AddEOS reports whether the model wants EOS behind a text.
func (m *Model) AddEOS() bool { return m.info.addEOS }

// Tokenize returns the tokens of text. addSpecial adds what the model wants at the ends; parseSpecial reads names of special
// tokens in text as these tokens.
func (m *Model) Tokenize(text string, addSpecial, parseSpecial bool) ([]perplexity.Token, error) {
	if !m.info.HasVocab {
		return nil, &Error{Code: BadInput, Op: "tokenize", Text: "the model has no tokenizer"}
	}
	if len(text) >= math.MaxInt32-16 {
		return nil, &Error{Code: BadInput, Op: "tokenize", Text: fmt.Sprintf("a text of %d bytes is too long, cut it below 2 GiB", len(text))}
	}
	var a arena
	defer a.free()
	ctext := a.str(text)
	buf := make([]perplexity.Token, len(text)/2+16)
	for {
		n := int(C.bp_tokenize(m.c, ctext, C.int32_t(len(text)), intPtr(buf), C.int32_t(len(buf)), C.bool(addSpecial), C.bool(parseSpecial)))
		switch {
		case n == math.MinInt32:
			return nil, &Error{Code: Internal, Op: "tokenize", Text: "llama.cpp could not tokenise the text"}
		case n >= 0:
			return buf[:n], nil
		}
		buf = make([]perplexity.Token, -n)
	}
}

// Piece returns the text of a token; special also renders control tokens.
func (m *Model) Piece(t perplexity.Token, special bool) string {
	if t < 0 || int(t) >= m.info.NVocab {
		return ""
	}
	buf := make([]byte, 64)
	for {
		n := int(C.bp_piece(m.c, C.int32_t(t), (*C.char)(unsafe.Pointer(bytePtr(buf))), C.int32_t(len(buf)), C.bool(special)))
		if n >= 0 {
			return string(buf[:n])
		}
		buf = make([]byte, -n)
	}
}

// EOG reports whether t ends a generation.
func (m *Model) EOG(t perplexity.Token) bool { return bool(C.bp_is_eog(m.c, C.int32_t(t))) }

// ToFloat decodes data of a ggml type into weights, which say how many there are: a multiple of the type's block.
func ToFloat(ggmlType uint32, data []byte, weights []float32) error {
	start()
	if len(weights) == 0 {
		return nil
	}
	if len(data) == 0 || !bool(C.bp_to_float(C.int32_t(ggmlType), unsafe.Pointer(bytePtr(data)), C.int64_t(len(weights)), floatPtr(weights))) {
		return &Error{Code: BadInput, Op: "decode weights", Text: fmt.Sprintf("ggml type %d cannot be decoded", ggmlType)}
	}
	return nil
}
