package compare

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// prunedText reads from its metadata what this program did to a file.
func prunedText(f *gguf.File) string {
	switch {
	case len(source.Array[string](f, "ggufprune.repair.tensors")) > 0:
		return Repaired
	case source.Text(f, "ggufprune.mask") != "":
		return Pruned
	}
	return ""
}

// comparer is a comparison under way.
type comparer struct {
	j     Job
	sink  progress.Sink
	files []*gguf.File
	text  string // "" with a base file
	shape kld.BaseShape
	base  *os.File // of shape, and what the reference predicts
	out   *Comparison

	subject    int // of the models, the one that the rival is set against
	subjectRow int // its row

	reference    *runner // loaded as long as speeds are compared with it
	mustFit      bool    // beside the reference, as a larger model did: what does not load there is no model that llama.cpp runs
	referenceRow int
	baseSamples  speedSamples // of the reference, beside all others
}

// Run runs the models one after the other over the text.
func Run(ctx context.Context, j Job, sink progress.Sink) (*Comparison, error) {
	c := &comparer{j: j, sink: sink, out: &Comparison{BaseLogits: j.BaseLogits, Speed: j.Speed}, subject: cmp.Or(j.Subject, 1)}
	defer c.close()
	if err := c.open(); err != nil {
		return nil, err
	}
	for i, m := range j.Models {
		if i == c.subject {
			c.subjectRow = len(c.out.Rows)
		}
		if err := c.model(ctx, m, c.files[i], i == 0 && j.BaseLogits == ""); err != nil {
			return nil, err
		}
	}
	if err := c.rival(ctx); err != nil {
		return nil, err
	}
	if err := c.referenceSpeed(ctx); err != nil {
		return nil, err
	}
	c.finish()
	return c.out, nil
}

// open finds what is wrong with the files before any model is loaded.
func (c *comparer) open() error {
	if c.j.SaveBase != "" {
		if err := outfile.Check(c.j.SaveBase, c.j.Force, c.inputs()...); err != nil {
			return fmt.Errorf("base logits: %w", err)
		}
	}
	for _, m := range c.j.Models {
		f, err := source.OpenFile(m.Path)
		if err != nil {
			return err
		}
		c.files = append(c.files, f)
		if err := source.CheckDecoder(f); err != nil {
			return err
		}
	}
	if len(c.files) > 1 && c.j.RivalFile.Path != "" {
		if c.compared(c.j.RivalFile.Path) {
			return fmt.Errorf("rival %s is compared anyway; give another file with --rival", c.j.RivalFile.Label)
		}
		if err := c.j.CheckRival(c.j.Models[0].Path); err != nil {
			return err
		}
	}
	if c.j.BaseLogits != "" {
		return c.openBase()
	}
	text, err := c.j.Text.ReadEvaluation()
	if err != nil {
		return err
	}
	c.text, c.out.Text = text.Text(), text.Name
	return nil
}

func (c *comparer) inputs() []string {
	in := []string{c.j.Text.File}
	for _, m := range c.j.Models {
		in = append(in, gguf.Shards(m.Path)...)
	}
	if c.j.RivalFile.Path != "" {
		in = append(in, gguf.Shards(c.j.RivalFile.Path)...)
	}
	return in
}

// model measures one model, and adds its row. The reference is what the others are measured against.
func (c *comparer) model(ctx context.Context, m Contender, f *gguf.File, reference bool) error {
	row := Row{Label: m.Label, Path: m.Path, Pruned: prunedText(f), Arch: f.Arch(), Type: mainType(f), Bytes: f.Bytes(), Params: f.Params()}
	if m.Removed.Len() > 0 {
		row.Path, row.Pruned, row.Arch, row.Bytes, row.Params = "", Pruned, m.File.Arch, m.File.Bytes, m.File.Params
	}
	r, err := c.load(ctx, m, f)
	if err != nil {
		return err
	}
	defer func() {
		if c.reference != r {
			r.close()
		}
	}()
	if reference {
		err = c.makeBase(ctx, r)
	} else {
		row.KL, err = c.measure(ctx, r)
	}
	if err != nil {
		return err
	}
	if row.KL != nil {
		row.PPL = row.KL.PPL
	}
	c.out.Rows = append(c.out.Rows, row)
	if m.Removed.Len() > 0 {
		return nil
	}
	return c.speed(ctx, r)
}

// finish fills in what only the whole tells.
func (c *comparer) finish() {
	o := c.out
	o.Context, o.Windows = c.shape.Context, c.shape.Windows()
	nSeq, seqLen := c.j.Text.Shape(o.Context)
	o.Batch, o.UBatch = c.batch(nSeq, seqLen), c.ubatch(nSeq, seqLen)
	o.Positions = o.Windows * c.shape.Rows()
	for _, r := range o.Rows {
		if r.KL != nil {
			o.Rows[0].PPL = r.KL.BasePPL
			break
		}
	}
	o.Verdict = verdict(o, c.subjectRow)
}

// batch is the most tokens of a decode, -b, and ubatch of a graph, -ub.
func (c *comparer) batch(nSeq, seqLen int) int { return min(c.j.Text.Batch, nSeq*seqLen) }

func (c *comparer) ubatch(nSeq, seqLen int) int { return min(c.j.UBatch, c.batch(nSeq, seqLen)) }

func (c *comparer) close() {
	if c.reference != nil {
		c.reference.close()
	}
	for _, f := range c.files {
		f.Close()
	}
	if c.base != nil {
		c.base.Close()
	}
}

// baseReader reads what the reference predicts, from the start.
func (c *comparer) baseReader() (*kld.BaseReader, error) {
	info, err := c.base.Stat()
	if err != nil {
		return nil, err
	}
	return kld.OpenBase(io.NewSectionReader(c.base, 0, info.Size()), info.Size())
}

// mainType returns the type that most of the weights have.
func mainType(f *gguf.File) string {
	count := map[gguf.Type]uint64{}
	var most gguf.Type
	for _, t := range f.Tensors() {
		if count[t.Type] += t.Elements(); count[t.Type] > count[most] {
			most = t.Type
		}
	}
	return most.Name()
}
