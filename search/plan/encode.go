package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/search"
)

// MaxSize is the largest file that is read as a plan, in bytes. 60 steps of a model with 200 blocks are 1 MB.
const MaxSize = 64 << 20

const (
	format    = "ggufprune-plan"
	version   = 1
	maxBlocks = 4096 // llama.cpp stops at 512 layers

	maxElements = 4 * maxBlocks // of a list: the candidates of a step name each block a few times at most
)

// planJSON is the file, in the order of its fields. Scores are pointers: one that is missing counts as one that is null. Masks of
// steps are text: they are parsed when it is known that they are not too large.
type planJSON struct {
	Format      string          `json:"format"`
	Version     int             `json:"version"`
	Tool        string          `json:"tool"`
	LlamaCpp    string          `json:"llama_cpp"`
	Model       Model           `json:"model"`
	Calibration Calibration     `json:"calibration"`
	Metric      string          `json:"metric"`
	Settings    search.Settings `json:"settings"`
	Base        *jsonnum.Float  `json:"base_score"`
	Audit       *search.Audit   `json:"audit,omitempty"`
	Refine      *search.Refined `json:"refine,omitempty"`
	HeldOut     *HeldOut        `json:"held_out,omitempty"`
	Shapes      []Shape         `json:"shapes,omitempty"`
	Kinds       []Kind          `json:"kinds,omitempty"`
	Tasks       []Task          `json:"tasks,omitempty"`
	Steps       []stepJSON      `json:"steps"`
}

type stepJSON struct {
	Index         int             `json:"index"`
	Removed       planMask        `json:"removed"`
	Score         *jsonnum.Float  `json:"score"`
	ParamsRemoved uint64          `json:"params_removed"`
	Ratio         float64         `json:"params_removed_ratio"`
	Size          int64           `json:"size_bytes,omitempty"`
	Speedup       float64         `json:"speedup,omitempty"`
	Cost          float64         `json:"cost,omitempty"`
	PaperCost     float64         `json:"paper_cost,omitempty"`
	Candidates    []candidateJSON `json:"candidates"`
}

type candidateJSON struct {
	Block     planMask       `json:"block"`
	Score     *jsonnum.Float `json:"score"`
	Sequences int            `json:"sequences,omitempty"`
}

// Decode reads a plan from the bytes of its file.
func Decode(data []byte) (*Plan, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("larger than %d MiB", MaxSize>>20)
	}
	if err := checkLists(data); err != nil {
		return nil, err
	}
	// The version first: a newer one may well have fields that this one lacks.
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, explain(data, err)
	}
	if head.Format != format {
		return nil, fmt.Errorf(`its "format" is %.80q, not %q`, head.Format, format)
	}
	if head.Version != version && head.Version != partsVersion {
		return nil, fmt.Errorf("version %d, this program reads %d and %d; use the program that made it", head.Version, version, partsVersion)
	}
	var file planJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, explain(data, err)
	}
	p, err := file.plan()
	if err != nil {
		return nil, err
	}
	if p.fileVersion() > head.Version {
		return nil, fmt.Errorf("version %d has whole blocks only, but a mask keeps a part of one; write %d", version, partsVersion)
	}
	return p, p.validate()
}

// checkLists refuses lists and objects of more elements than a plan or an order has, before memory is taken for them: {} is two bytes, and a
// step more than a hundred.
func checkLists(data []byte) error {
	var open []int // commas so far of each list or object around the place
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if open = append(open, 0); len(open) > 10000 {
				return nil // deeper than encoding/json reads
			}
		case ']', '}':
			open = open[:max(0, len(open)-1)]
		case ',':
			if len(open) == 0 {
				return nil // no JSON, which who reads it will say
			}
			if open[len(open)-1]++; open[len(open)-1] >= maxElements {
				return fmt.Errorf("a list has more than %d elements; no model is like that", maxElements)
			}
		}
	}
	return nil
}

// explain says where in the file a JSON error is.
func explain(data []byte, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("line %d: %w", line, err)
	case errors.As(err, &typ):
		return fmt.Errorf("%q must not be a %s", typ.Field, typ.Value)
	}
	return err
}

func (f *planJSON) plan() (*Plan, error) {
	p := &Plan{
		Tool: f.Tool, LlamaCpp: f.LlamaCpp, Model: f.Model, Calibration: f.Calibration, Metric: f.Metric,
		Settings: f.Settings, Base: f.Base.Value(), Audit: f.Audit, Refine: f.Refine, HeldOut: f.HeldOut, Shapes: f.Shapes, Kinds: f.Kinds, Tasks: f.Tasks,
	}
	if n := len(p.Model.Blocks); n > maxBlocks || len(f.Steps) > n {
		return nil, fmt.Errorf("%d steps on %d blocks; no model is like that", len(f.Steps), n)
	}
	for i, s := range f.Steps {
		step, err := s.step(len(p.Model.Blocks))
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		p.Steps = append(p.Steps, step)
	}
	return p, nil
}

// step parses the masks of a step. Few bytes can name many blocks ("attn:0-65535"), so their number is bounded before the
// masks are kept: the candidates of a step name each of the model's blocks a few times at most.
func (s *stepJSON) step(blocks int) (search.Step, error) {
	left := 4 * blocks
	parse := func(in planMask) (blockmask.Mask, error) {
		m, err := in.parse()
		if left -= len(m); err == nil && left < 0 {
			err = errors.New("the masks name more blocks than the model has")
		}
		return m, err
	}
	step := search.Step{
		Index: s.Index, Score: s.Score.Value(),
		ParamsRemoved: s.ParamsRemoved, Ratio: s.Ratio, Size: s.Size,
		Speedup: s.Speedup, Cost: s.Cost, PaperCost: s.PaperCost,
	}
	var err error
	if step.Removed, err = parse(s.Removed); err != nil {
		return step, err
	}
	for _, c := range s.Candidates {
		m, err := parse(c.Block)
		if err != nil {
			return step, err
		}
		step.Candidates = append(step.Candidates, search.Candidate{Mask: m, Score: c.Score.Value(), Sequences: c.Sequences})
	}
	return step, nil
}

func (p *Plan) file() *planJSON {
	f := &planJSON{
		Format: format, Version: p.fileVersion(), Tool: p.Tool, LlamaCpp: p.LlamaCpp, Model: p.Model,
		Calibration: p.Calibration, Metric: p.Metric, Settings: p.Settings, Base: jsonnum.Ptr(p.Base), Audit: p.Audit, Refine: p.Refine,
		HeldOut: p.HeldOut, Shapes: p.Shapes, Kinds: p.Kinds, Tasks: p.Tasks,
		Steps: []stepJSON{},
	}
	for _, s := range p.Steps {
		step := stepJSON{
			Index: s.Index, Removed: planMask{mask: s.Removed}, Score: jsonnum.Ptr(s.Score),
			ParamsRemoved: s.ParamsRemoved, Ratio: s.Ratio, Size: s.Size,
			Speedup: s.Speedup, Cost: s.Cost, PaperCost: s.PaperCost, Candidates: []candidateJSON{},
		}
		for _, c := range s.Candidates {
			step.Candidates = append(step.Candidates, candidateJSON{Block: planMask{mask: c.Mask}, Score: jsonnum.Ptr(c.Score), Sequences: c.Sequences})
		}
		f.Steps = append(f.Steps, step)
	}
	return f
}

// candidateLines and estimateLines match a candidate as json.MarshalIndent spreads it. No string can contain a raw newline, so only
// structure matches.
var (
	candidateLines = regexp.MustCompile(`\{\n\s+("block": "[^"\n]*",)\n\s+("score": [^,\n]+)\n\s+\}`)
	estimateLines  = regexp.MustCompile(`\{\n\s+("block": "[^"\n]*",)\n\s+("score": [^,\n]+,)\n\s+("sequences": [0-9]+)\n\s+\}`)
)

// Encode returns the bytes of the plan's file: indented, a candidate to a line, the same bytes for the same plan.
func (p *Plan) Encode() ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	data, err := json.MarshalIndent(p.file(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	data = candidateLines.ReplaceAll(data, []byte("{$1 $2}"))
	return append(estimateLines.ReplaceAll(data, []byte("{$1 $2 $3}")), '\n'), nil
}
