package enginetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
)

// ToFloat implements engine.Codec for F32.
func (Runtime) ToFloat(ggmlType uint32, data []byte, weights []float32) error {
	if gguf.Type(ggmlType) != gguf.F32 {
		return fmt.Errorf("the test's runtime does not decode %s", gguf.Type(ggmlType))
	}
	for i := range weights {
		weights[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return nil
}

// FromFloat implements engine.Codec for F32.
func (Runtime) FromFloat(ggmlType uint32, weights []float32, _ int, _ []float32) ([]byte, error) {
	if gguf.Type(ggmlType) != gguf.F32 {
		return nil, fmt.Errorf("the test's runtime does not encode %s", gguf.Type(ggmlType))
	}
	var out []byte
	for _, w := range weights {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(w))
	}
	return out, nil
}

var fileTypes = []engine.FileType{
	{Name: "Q4_0", ID: 2}, {Name: "Q8_0", ID: 7}, {Name: "Q4_K_M", ID: 15}, {Name: "Q5_K_M", ID: 17}, {Name: "IQ3_M", ID: 27}, {Name: "F16", ID: 1},
}

// FileTypes are some of llama-quantize's.
func (Runtime) FileTypes() []engine.FileType { return fileTypes }

// ParseFileType reads a name or a number, and the alias Q4_K.
func (Runtime) ParseFileType(s string) (engine.FileType, error) {
	name := strings.ToUpper(s)
	if name == "Q4_K" {
		name = "Q4_K_M"
	}
	for _, t := range fileTypes {
		if t.Name == name || fmt.Sprint(t.ID) == s {
			return t, nil
		}
	}
	return engine.FileType{}, fmt.Errorf("unknown quantisation type %q; give one of Q4_0, Q8_0", s)
}

// TensorType knows the types of weights by their names.
func (Runtime) TensorType(name string) (uint32, bool) {
	for _, t := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q6_K, gguf.Q5_K, gguf.Q4_K, gguf.Q4_0} {
		if strings.EqualFold(t.Name(), name) {
			return uint32(t), true
		}
	}
	return 0, false
}

// weightTypes are the types that a file's matrices get.
var weightTypes = map[string]gguf.Type{
	"Q4_0": gguf.Q4_0, "Q8_0": gguf.Q8_0, "Q4_K_M": gguf.Q4_K, "Q5_K_M": gguf.Q5_K, "IQ3_M": gguf.IQ3_S, "F16": gguf.F16,
}

// becomes is the type that a tensor gets: the file's, or that of the first rule that fits.
func becomes(t gguf.Tensor, p engine.QuantizeParams) (gguf.Type, bool) {
	if len(t.Dims) < 2 || !strings.HasSuffix(t.Name, ".weight") {
		return 0, false
	}
	typ := weightTypes[p.Type.Name]
	for _, r := range p.TensorTypes {
		if regexp.MustCompile(r.Pattern).MatchString(t.Name) {
			typ = gguf.Type(r.Type)
			break
		}
	}
	return typ, typ != t.Type && t.Dims[0]%typ.BlockSize() == 0
}

// Quantize writes the file with zeros in the types of QuantizePlan, and the metadata of p.
func (Runtime) Quantize(ctx context.Context, in, out string, p engine.QuantizeParams, progress func(i, n int, name string)) error {
	f, err := gguf.Open(in)
	if err != nil {
		return &engine.Error{Code: engine.LoadFailed, Op: "quantize", Text: err.Error()}
	}
	defer f.Close()
	plan := &gguf.Plan{KVs: f.KVs()}
	for _, kv := range p.Metadata {
		var value any = kv.Number
		if kv.Text != "" {
			value = kv.Text
		}
		made, err := gguf.NewKV(kv.Key, value)
		if err != nil {
			return err
		}
		plan.KVs = append(plan.KVs, made)
	}
	for i, t := range f.Tensors() {
		if progress != nil {
			progress(i+1, len(f.Tensors()), t.Name)
		}
		to := gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(f, t)}
		if typ, changed := becomes(t, p); changed {
			n := typ.RowBytes(t.Dims[0]) * t.Rows()
			to.Type, to.Data = typ, gguf.Made(n, func() ([]byte, error) { return make([]byte, n), nil })
		}
		plan.Tensors = append(plan.Tensors, to)
	}
	w, err := gguf.WriteTemp(ctx, out, plan, gguf.WriteOptions{Force: true})
	if err == nil {
		_, err = w.Commit()
	}
	return err
}

// QuantizePlan quantises every matrix whose rows the type divides.
func (Runtime) QuantizePlan(_ context.Context, in string, p engine.QuantizeParams) ([]engine.QuantizedTensor, error) {
	f, err := gguf.Open(in)
	if err != nil {
		return nil, &engine.Error{Code: engine.LoadFailed, Op: "quantize", Text: err.Error()}
	}
	defer f.Close()
	var out []engine.QuantizedTensor
	for _, t := range f.Tensors() {
		q := engine.QuantizedTensor{Name: t.Name}
		if typ, changed := becomes(t, p); changed {
			q.Type, q.Changed = uint32(typ), true
		}
		out = append(out, q)
	}
	return out, nil
}

// NeedsIMatrix is true of IQ3_M, the smallest type here.
func (Runtime) NeedsIMatrix(_ engine.QuantizedTensor, ft engine.FileType) bool {
	return ft.Name == "IQ3_M"
}
