package gguf

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Plan is the content of a file that WriteTemp writes: always one file of version 3, with the metadata and the tensors in
// the order of the plan.
type Plan struct {
	// Alignment of the tensors' data. 0 stands for what KVs say, 32 where they say nothing; any other value must
	// agree with KVs, since that is where a reader finds it.
	Alignment uint32
	KVs       []KV
	Tensors   []PlanTensor
}

// PlanTensor is a tensor to be written. Dims is in ggml's order; Data has exactly the bytes that Type and Dims take.
type PlanTensor struct {
	Name string
	Type Type
	Dims []uint64
	Data Data
}

// Params is what [File.Params] will be of the file that the plan makes.
func (p *Plan) Params() uint64 {
	total := uint64(0)
	for _, t := range p.Tensors {
		n := uint64(1)
		for _, d := range t.Dims {
			n *= d
		}
		total += n
	}
	return total
}

// headerFixed is the bytes of magic, version and the two counts.
const headerFixed = 4 + 4 + 8 + 8

// Size is the exact size in bytes of the file that the plan makes.
func (p *Plan) Size() int64 {
	a := p.alignment()
	n := pad(p.headerSize(), a)
	for _, t := range p.Tensors {
		n += pad(uint64(t.Data.Size()), a)
	}
	return int64(n)
}

// alignment is the alignment in force, of a plan that check accepts.
func (p *Plan) alignment() uint64 {
	if p.Alignment != 0 {
		return uint64(p.Alignment)
	}
	a, err := alignmentOf(p.KVs)
	if err != nil {
		return defaultAlignment
	}
	return a
}

// headerSize is the bytes before the padding in front of the tensor data.
func (p *Plan) headerSize() uint64 {
	n := uint64(headerFixed)
	for _, kv := range p.KVs {
		n += uint64(8 + len(kv.Key) + len(kv.Raw))
	}
	for _, t := range p.Tensors {
		n += uint64(8 + len(t.Name) + 4 + 8*len(t.Dims) + 4 + 8)
	}
	return n
}

// header encodes everything before the tensor data, its padding included.
func (p *Plan) header() []byte {
	le := binary.LittleEndian
	a := p.alignment()
	b := make([]byte, 0, pad(p.headerSize(), a))
	b = append(b, "GGUF"...)
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(p.Tensors)))
	b = le.AppendUint64(b, uint64(len(p.KVs)))
	for _, kv := range p.KVs {
		b = le.AppendUint64(b, uint64(len(kv.Key)))
		b = append(b, kv.Key...)
		b = append(b, kv.Raw...)
	}
	offset := uint64(0)
	for _, t := range p.Tensors {
		b = le.AppendUint64(b, uint64(len(t.Name)))
		b = append(b, t.Name...)
		b = le.AppendUint32(b, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = le.AppendUint64(b, d)
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, offset)
		offset += pad(uint64(t.Data.Size()), a)
	}
	return append(b, make([]byte, pad(uint64(len(b)), a)-uint64(len(b)))...)
}

// check reports what would make the written file one that Open or llama.cpp refuses.
func (p *Plan) check() error {
	a, err := alignmentOf(p.KVs)
	if err != nil {
		return err
	}
	if p.Alignment != 0 && uint64(p.Alignment) != a {
		return fmt.Errorf("plan: alignment %d, but the metadata says %d; set %s", p.Alignment, a, keyAlignment)
	}
	seen := make(map[string]bool)
	for _, kv := range p.KVs {
		switch {
		case kv.Key == "" || len(kv.Key) > maxKey:
			return fmt.Errorf("plan: a metadata key has %d bytes; 1 to %d are allowed", len(kv.Key), maxKey)
		case seen[kv.Key]:
			return fmt.Errorf("plan: metadata key %s occurs twice", quote(kv.Key))
		case strings.HasPrefix(kv.Key, "split."):
			return fmt.Errorf("plan: metadata key %s belongs to split models, and one file is written", quote(kv.Key))
		}
		seen[kv.Key] = true
		if err := checkRaw(kv.Raw); err != nil {
			return fmt.Errorf("plan: metadata key %s: %w", quote(kv.Key), err)
		}
	}
	return p.checkTensors()
}

func (p *Plan) checkTensors() error {
	seen := make(map[string]bool)
	for _, t := range p.Tensors {
		switch {
		case t.Name == "" || len(t.Name) > maxTensorName:
			return fmt.Errorf("plan: tensor %s has a name of %d bytes; 1 to %d are allowed", quote(t.Name), len(t.Name), maxTensorName)
		case seen[t.Name]:
			return fmt.Errorf("plan: tensor %s occurs twice", quote(t.Name))
		case t.Data == nil:
			return fmt.Errorf("plan: tensor %s has no data", quote(t.Name))
		}
		seen[t.Name] = true
		_, size, err := tensorSize(t.Type, t.Dims)
		if err != nil {
			return fmt.Errorf("plan: tensor %s %w", quote(t.Name), err)
		}
		if err := t.Data.check(); err != nil {
			return fmt.Errorf("plan: tensor %s: %w", quote(t.Name), err)
		}
		if t.Data.Size() != size {
			return fmt.Errorf("plan: tensor %s is given %d bytes of data where %s%v takes %d", quote(t.Name), t.Data.Size(), t.Type, t.Dims, size)
		}
	}
	return nil
}

// sources are the models that the plan reads.
func (p *Plan) sources() []*File {
	var out []*File
	seen := make(map[*File]bool)
	for _, t := range p.Tensors {
		if f := t.Data.source(); f != nil && !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	return out
}
