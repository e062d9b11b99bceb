package repair

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Method says what is fitted.
type Method string

// The methods; see the package comment. Auto is Full where the solve is affordable, else Map.
const (
	Auto Method = "auto"
	Full Method = "full"
	Map  Method = "map"
	Off  Method = "off"
)

// ParseMethod reads a method's name; "" is Auto.
func ParseMethod(s string) (Method, error) {
	m := Method(s)
	if s == "" {
		m = Auto
	}
	if !slices.Contains([]Method{Auto, Full, Map, Off}, m) {
		return "", fmt.Errorf("unknown repair %q; use auto, full, map or off", s)
	}
	return m, nil
}

// MaxFull is the most inputs of a projection that Auto fits in full: k x k doubles are kept twice, and the solve takes k^3/3
// multiplications for each lambda.
const MaxFull = 6144

// Lambdas are the ridge parameters that are tried, in parts of the mean of G's diagonal.
var Lambdas = []float64{0.01, 0.1, 1}

// minGain is the part of the held-out loss that a block's repair must win.
const minGain = 1e-3

// Request asks for a repair.
type Request struct {
	Removed blockmask.Mask
	Method  Method
	// Fit and Held are batches of sequences of one length in each batch; Held is what choices are made on.
	Fit, Held [][]perplexity.Sequence
	NEmbd     int
	Relative  bool
	Progress  func(done, total int, block blockmask.Block)
}

// Block says what became of a block.
type Block struct {
	Block   blockmask.Block
	Tensor  string // "" if there is none that can be repaired
	Skipped string // why it was left alone; "" if it was repaired
	Method  Method
	Lambda  float64
	Before  float64 // mean square of the distance to the unpruned stream on the held part, per number, without this block's repair
	After   float64 // and with it, as encoded
}

// Result is a repair.
type Result struct {
	Blocks     []Block
	Weights    map[string][]byte // the new tensors by name, as files hold them
	Positions  int               // of the fit and the held part
	NLLBefore  float64           // mean on the held part, nats
	NLLAfter   float64
	Undone     bool // it did not lower the held part's NLL, so nothing is changed
	BytesKept  int64
	stateBytes int64
}

// ErrNothing says that no block can be repaired.
var ErrNothing = errors.New("nothing to repair")

// batch is one batch on its way through the model.
type batch struct {
	seqs   []perplexity.Sequence
	held   bool
	dense  []float32 // the unpruned stream
	pruned []float32
	next   []float32 // the pruned stream behind the block that is being fitted
}

func (b *batch) positions() int { return len(b.seqs) * len(b.seqs[0].Tokens) }

// state is a repair under way.
type state struct {
	Request
	e       Engine
	w       Weights
	batches []*batch
	res     *Result
}

// Run repairs the model that e runs. The loaded model is left repaired, or as it was when the repair is undone or an error ends it.
func Run(ctx context.Context, e Engine, w Weights, q Request) (res *Result, err error) {
	s := &state{Request: q, e: e, w: w, res: &Result{Weights: map[string][]byte{}}}
	for i, part := range [][][]perplexity.Sequence{q.Fit, q.Held} {
		for _, seqs := range part {
			s.batches = append(s.batches, &batch{seqs: seqs, held: i == 1})
			s.res.Positions += s.batches[len(s.batches)-1].positions()
		}
	}
	if len(q.Fit) == 0 || len(q.Held) == 0 {
		return nil, errors.New("the text is too short for a repair: it must have sequences to fit on and others to choose by")
	}
	defer func() {
		if err != nil || s.res.Undone {
			err = errors.Join(err, s.restore())
		}
	}()
	if err := s.walk(ctx); err != nil {
		return nil, err
	}
	return s.res, nil
}

// walk goes through the kept blocks, front to back.
func (s *state) walk(ctx context.Context) error {
	blocks := s.e.Blocks()
	kept := s.kept(blocks)
	if len(kept) == 0 {
		return fmt.Errorf("%w: no kept block lies before a removed one", ErrNothing)
	}
	for _, b := range s.batches {
		stream, err := s.e.Segment(ctx, b.seqs, s.Removed, -1, kept[0], nil, "", nil)
		if err != nil {
			return err
		}
		// Where the first blocks are removed the streams differ from the beginning.
		b.dense, b.pruned = stream, stream
		if s.anyRemoved(blocks[:kept[0]]) {
			if b.dense, err = s.e.Segment(ctx, b.seqs, nil, -1, kept[0], nil, "", nil); err != nil {
				return err
			}
		}
	}
	var err error
	if s.res.NLLBefore, err = s.heldNLL(ctx, kept[0]); err != nil {
		return err
	}
	for i, at := range kept {
		stop := len(blocks)
		if i+1 < len(kept) {
			stop = kept[i+1]
		}
		if s.Progress != nil {
			s.Progress(i, len(kept), blocks[at])
		}
		if err := s.block(ctx, blocks[at], at, stop); err != nil {
			return err
		}
	}
	if s.res.NLLAfter, err = s.heldNLL(ctx, len(blocks)); err != nil {
		return err
	}
	s.res.Undone = !(s.res.NLLAfter < s.res.NLLBefore)
	return nil
}

func (s *state) anyRemoved(blocks []blockmask.Block) bool {
	return slices.ContainsFunc(blocks, s.Removed.Has)
}

// kept lists the indices of the blocks that stay, from the last one before the first gap on.
func (s *state) kept(blocks []blockmask.Block) []int {
	gap := slices.IndexFunc(blocks, s.Removed.Has)
	if gap < 0 {
		return nil
	}
	var out []int
	for i, b := range blocks {
		if i >= gap-1 && !s.Removed.Has(b) {
			out = append(out, i)
		}
	}
	return out
}

// heldNLL is the mean loss of the held part, from boundary start on with the pruned streams there.
func (s *state) heldNLL(ctx context.Context, start int) (float64, error) {
	sum, n := 0.0, 0
	for _, b := range s.batches {
		if !b.held {
			continue
		}
		losses, err := s.e.EvalFrom(ctx, b.seqs, s.Removed, start, b.pruned)
		if err != nil {
			return 0, err
		}
		for _, row := range losses {
			for _, l := range row[:len(row)-1] { // nothing follows the last position
				sum += l
				n++
			}
		}
	}
	return sum / float64(max(n, 1)), nil
}

// block brings both streams to boundary stop, and repairs the block at index at on the way.
func (s *state) block(ctx context.Context, b blockmask.Block, at, stop int) error {
	out := Block{Block: b}
	p, reason, err := s.w.Projection(b)
	if err != nil {
		return err
	}
	if p != nil {
		out.Tensor = p.Name
	}
	var fit, held *normal
	if reason == "" {
		if out.Method = s.method(p); out.Method == Map {
			fit, held = newNormal(p.Out, p.Out), newNormal(p.Out, p.Out)
		} else {
			fit, held = newNormal(p.In, p.Out), newNormal(p.In, p.Out)
		}
	}
	power := make([]float64, 0)
	if p != nil {
		power = make([]float64, p.In)
	}
	if reason, err = s.advance(ctx, at, stop, p, reason, &out, fit, held, power); err != nil {
		return err
	}
	if reason == "" {
		if reason, err = s.fit(ctx, at, stop, p, &out, fit, held, power); err != nil {
			return err
		}
	}
	out.Skipped = reason
	s.res.Blocks = append(s.res.Blocks, out)
	for _, x := range s.batches {
		x.pruned, x.next = x.next, nil
	}
	return nil
}

func (s *state) method(p *Projection) Method {
	switch {
	case s.Method != Auto:
		return s.Method
	case p.In <= MaxFull:
		return Full
	}
	return Map
}

// advance runs every batch over the block, unpruned and pruned, and collects the normal equations.
func (s *state) advance(ctx context.Context, at, stop int, p *Projection, reason string, out *Block, fit, held *normal, power []float64) (string, error) {
	for _, x := range s.batches {
		n := x.positions()
		var err error
		if x.dense, err = s.e.Segment(ctx, x.seqs, nil, at, stop, x.dense, "", nil); err != nil {
			return "", err
		}
		tap, features := "", []float32(nil)
		if reason == "" {
			tap, features = p.Name, make([]float32, n*p.In)
		}
		if x.next, err = s.e.Segment(ctx, x.seqs, s.Removed, at, stop, x.pruned, tap, features); err != nil {
			return "", err
		}
		if reason != "" {
			continue
		}
		if reason = linear(p, x.pruned, x.next, features, n); reason != "" {
			continue
		}
		residual := difference(x.dense, x.next)
		if s.Relative {
			scaleRows(x.dense, n, residual, features)
		}
		eq := fit
		if x.held {
			eq = held
		}
		eq.n += n
		eq.energy += square(residual)
		for i, f := range features {
			power[i%p.In] += float64(f) * float64(f)
		}
		used := features
		if out.Method == Map {
			used = outputs(p, x.pruned, x.next, n)
			if s.Relative {
				scaleRows(x.dense, n, used)
			}
		}
		if err := s.e.Product(ctx, p.Name, n, used, used, eq.g); err != nil {
			return "", err
		}
		if err := s.e.Product(ctx, p.Name, n, used, residual, eq.c); err != nil {
			return "", err
		}
	}
	return reason, nil
}

// fit chooses lambda, changes the weights, and runs the pruned batches through them.
func (s *state) fit(ctx context.Context, at, stop int, p *Projection, out *Block, fit, held *normal, power []float64) (reason string, err error) {
	out.Before = held.energy / float64(held.n*held.d)
	if held.energy == 0 {
		return "the streams are the same", nil
	}
	best := held.energy * (1 - minGain)
	for _, lambda := range Lambdas {
		x, used, err := fit.solve(lambda)
		if err != nil {
			return err.Error(), nil //nolint:nilerr // the block stays as it is
		}
		if loss := held.loss(x); loss < best {
			best, out.Lambda = loss, used
		}
	}
	if out.Lambda == 0 {
		return "no fit lowers the held-out loss", nil
	}
	x, _, err := fit.plus(held).solve(out.Lambda)
	if err != nil {
		return err.Error(), nil //nolint:nilerr // the block stays as it is
	}
	weights, err := s.changed(ctx, p, x, out.Method)
	if err != nil {
		return "", err
	}
	importance := make([]float32, p.In)
	for i := range importance {
		importance[i] = float32(power[i] / float64(fit.n+held.n))
	}
	data, _, err := s.w.Encode(p, weights, importance)
	if err != nil {
		return "", err
	}
	if slices.Equal(data, p.Data) {
		return "the change is below the precision of the weights", nil
	}
	return s.install(ctx, at, stop, p, out, held, data)
}

// changed returns W + X^T, or W + X^T W.
func (s *state) changed(ctx context.Context, p *Projection, x *mat.Dense, method Method) ([]float32, error) {
	w := slices.Clone(p.Weights)
	if method == Map {
		m := make([]float32, p.Out*p.Out)
		for i := range p.Out {
			for j, v := range x.RawRowView(i) {
				m[i*p.Out+j] = float32(v)
			}
		}
		change := make([]float64, p.Out*p.In)
		if err := s.e.Product(ctx, p.Name, p.Out, m, p.Weights, change); err != nil {
			return nil, err
		}
		for i, v := range change {
			w[i] += float32(v)
		}
		return w, nil
	}
	for i := range p.In {
		for j, v := range x.RawRowView(i) {
			w[j*p.In+i] += float32(v)
		}
	}
	return w, nil
}

// install puts the new weights into the model and runs the pruned batches again. When the encoded weights turn out not to help, the old
// ones come back.
func (s *state) install(ctx context.Context, at, stop int, p *Projection, out *Block, held *normal, data []byte) (string, error) {
	if err := s.e.SetWeight(p.Name, data); err != nil {
		return "", err
	}
	s.res.Weights[p.Name] = data
	after, streams := 0.0, make([][]float32, len(s.batches))
	for i, x := range s.batches {
		var err error
		if streams[i], err = s.e.Segment(ctx, x.seqs, s.Removed, at, stop, x.pruned, "", nil); err != nil {
			return "", err
		}
		if x.held {
			residual := difference(x.dense, streams[i])
			if s.Relative {
				scaleRows(x.dense, x.positions(), residual)
			}
			after += square(residual)
		}
	}
	out.After = after / float64(held.n*held.d)
	if !(after < held.energy) {
		delete(s.res.Weights, p.Name)
		return "rounding to the tensor's type undoes the fit", s.e.SetWeight(p.Name, p.Data)
	}
	for i, x := range s.batches {
		x.next = streams[i]
	}
	return "", nil
}

// restore puts the original weights back.
func (s *state) restore() error {
	var errs []error
	for _, b := range s.e.Blocks() {
		p, _, err := s.w.Projection(b)
		if err != nil || p == nil || s.res.Weights[p.Name] == nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, s.e.SetWeight(p.Name, p.Data))
	}
	s.res.Weights = map[string][]byte{}
	return errors.Join(errs...)
}

// maxNonlinear is how far, in parts of its norm, the product of the tapped features and the weights may be from what the block adds:
// llama.cpp rounds activations to 8 bits for quantised weights.
const maxNonlinear = 0.02

// linear makes sure, on a few positions, that the block adds the product of its projection and nothing else: behind a norm or a scale the
// closed form would be wrong.
func linear(p *Projection, before, after, features []float32, n int) string {
	var diff, norm float64
	for i := 0; i < n; i += max(1, n/8) {
		for o := range p.Out {
			sum := 0.0
			for j, w := range p.Weights[o*p.In : (o+1)*p.In] {
				sum += float64(w) * float64(features[i*p.In+j])
			}
			if p.Bias != nil {
				sum += float64(p.Bias[o])
			}
			got := float64(after[i*p.Out+o]) - float64(before[i*p.Out+o])
			diff += (got - sum) * (got - sum)
			norm += got * got
		}
	}
	if !(math.Sqrt(diff) <= maxNonlinear*math.Sqrt(norm)) {
		return "what it adds to the stream is more than its output projection's product (a norm or a scale follows)"
	}
	return ""
}

// outputs is W f for every position: what the block adds, less its bias.
func outputs(p *Projection, before, after []float32, n int) []float32 {
	out := difference(after, before)
	for i := range out {
		if p.Bias != nil {
			out[i] -= p.Bias[i%p.Out]
		}
	}
	return out[:n*p.Out]
}

// scaleRows divides the rows of some matrices by the root mean square of a stream at their position.
func scaleRows(stream []float32, n int, matrices ...[]float32) {
	d := len(stream) / n
	for i := range n {
		scale := float32(1 / math.Sqrt(square(stream[i*d:(i+1)*d])/float64(d)+1e-12))
		for _, m := range matrices {
			k := len(m) / n
			for j := i * k; j < (i+1)*k; j++ {
				m[j] *= scale
			}
		}
	}
}

func difference(a, b []float32) []float32 {
	out := make([]float32, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func square(a []float32) float64 {
	sum := 0.0
	for _, x := range a {
		sum += float64(x) * float64(x)
	}
	return sum
}
