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

	"github.com/ggufprune/ggufprune/engine"
)

// Model is a loaded model. Close it after its sessions.
type Model struct {
	c              *C.bp_model
	info           engine.ModelInfo
	bos, eos       engine.Token
	addBOS, addEOS bool
}

// LoadModel loads the GGUF file at path (the first shard of a split one).
func LoadModel(ctx context.Context, path string, p engine.ModelParams) (*Model, error) {
	start()
	if err := ctx.Err(); err != nil {
		return nil, &engine.Error{Code: engine.Cancelled, Op: "load model", Text: "cancelled"}
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
	if err := m.readInfo(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// cModelParams copies p to a.
func cModelParams(a *arena, p engine.ModelParams) *C.bp_model_params {
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

// readInfo asks llama.cpp about the model.
func (m *Model) readInfo() error {
	var c C.bp_model_info
	var cerr C.bp_err
	if err := toError("load model", C.bp_model_get_info(m.c, &c, &cerr), &cerr); err != nil {
		return err
	}
	m.bos, m.eos, m.addBOS, m.addEOS = engine.Token(c.bos), engine.Token(c.eos), bool(c.add_bos), bool(c.add_eos)
	m.info = engine.ModelInfo{
		Arch: C.GoString(&c.arch[0]), Desc: C.GoString(&c.desc[0]),
		NVocab: int(c.n_vocab), NLayer: int(c.n_layer), NEmbd: int(c.n_embd), NCtxTrain: max(0, int(c.n_ctx_train)), // a number beyond int32 is none
		Params: uint64(c.n_params), Size: uint64(c.size),
		HasEncoder: bool(c.has_encoder), HasDecoder: bool(c.has_decoder),
		Recurrent: bool(c.recurrent), Diffusion: bool(c.diffusion), HasVocab: bool(c.has_vocab),
	}
	if t := C.bp_model_chat_template(m.c); t != nil {
		m.info.ChatTemplate = C.GoString(t)
	}
	return nil
}

// Close frees the model.
func (m *Model) Close() {
	if m.c != nil {
		C.bp_model_free(m.c)
		m.c = nil
	}
}

// Info returns what llama.cpp says of the model.
func (m *Model) Info() engine.ModelInfo { return m.info }

// BOS returns the beginning-of-sequence token, -1 if the model has none.
func (m *Model) BOS() engine.Token { return m.bos }

// EOS returns the end-of-sequence token, -1 if the model has none.
func (m *Model) EOS() engine.Token { return m.eos }

// AddBOS reports whether the model wants BOS in front of a text.
func (m *Model) AddBOS() bool { return m.addBOS }

// AddEOS reports whether the model wants EOS behind a text.
func (m *Model) AddEOS() bool { return m.addEOS }

// Tokenize returns the tokens of text. addSpecial adds what the model wants at the ends; parseSpecial reads names of special
// tokens in text as these tokens.
func (m *Model) Tokenize(text string, addSpecial, parseSpecial bool) ([]engine.Token, error) {
	if !m.info.HasVocab {
		return nil, &engine.Error{Code: engine.BadInput, Op: "tokenize", Text: "the model has no tokenizer"}
	}
	if len(text) >= math.MaxInt32-16 {
		return nil, &engine.Error{Code: engine.BadInput, Op: "tokenize", Text: fmt.Sprintf("a text of %d bytes is too long, cut it below 2 GiB", len(text))}
	}
	var a arena
	defer a.free()
	ctext := a.str(text)
	buf := make([]engine.Token, len(text)/2+16)
	for {
		n := int(C.bp_tokenize(m.c, ctext, C.int32_t(len(text)), intPtr(buf), C.int32_t(len(buf)), C.bool(addSpecial), C.bool(parseSpecial)))
		switch {
		case n == math.MinInt32:
			return nil, &engine.Error{Code: engine.Internal, Op: "tokenize", Text: "llama.cpp could not tokenise the text"}
		case n >= 0:
			return buf[:n], nil
		}
		buf = make([]engine.Token, -n)
	}
}

// Piece returns the text of a token; special also renders control tokens.
func (m *Model) Piece(t engine.Token, special bool) string {
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
func (m *Model) EOG(t engine.Token) bool { return bool(C.bp_is_eog(m.c, C.int32_t(t))) }

// ToFloat decodes data of a ggml type into weights, which say how many there are: a multiple of the type's block.
func ToFloat(ggmlType uint32, data []byte, weights []float32) error {
	start()
	if len(weights) == 0 {
		return nil
	}
	if len(data) == 0 || !bool(C.bp_to_float(C.int32_t(ggmlType), unsafe.Pointer(bytePtr(data)), C.int64_t(len(weights)), floatPtr(weights))) {
		return &engine.Error{Code: engine.BadInput, Op: "decode weights", Text: fmt.Sprintf("ggml type %d cannot be decoded", ggmlType)}
	}
	return nil
}
