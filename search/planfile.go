package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/outfile"
)

const (
	planFormat  = "ggufprune-plan"
	planVersion = 1
	maxPlan     = 64 << 20 // bytes; 60 steps of a model with 200 blocks are 1 MB
	maxBlocks   = 4096     // llama.cpp stops at 512 layers
)

// planJSON is the file, in the order of its fields.
type planJSON struct {
	Format      string      `json:"format"`
	Version     int         `json:"version"`
	Tool        string      `json:"tool"`
	LlamaCpp    string      `json:"llama_cpp"`
	Model       PlanModel   `json:"model"`
	Calibration Calibration `json:"calibration"`
	Metric      string      `json:"metric"`
	Settings    Settings    `json:"settings"`
	Base        *float64    `json:"base_score"`
	Audit       *Audit      `json:"audit,omitempty"`
	Refine      *Refined    `json:"refine,omitempty"`
	HeldOut     *HeldOut    `json:"held_out,omitempty"`
	Steps       []stepJSON  `json:"steps"`
}

type stepJSON struct {
	Index         int             `json:"index"`
	Removed       planMask        `json:"removed"`
	Score         *float64        `json:"score"`
	ParamsRemoved uint64          `json:"params_removed"`
	Ratio         float64         `json:"params_removed_ratio"`
	Size          int64           `json:"size_bytes,omitempty"`
	Speedup       float64         `json:"speedup,omitempty"`
	Cost          float64         `json:"cost,omitempty"`
	PaperCost     float64         `json:"paper_cost,omitempty"`
	Candidates    []candidateJSON `json:"candidates"`
}

type candidateJSON struct {
	Block     planMask `json:"block"`
	Score     *float64 `json:"score"`
	Sequences int      `json:"sequences,omitempty"`
}

// toJSON and fromJSON translate scores: JSON has no infinity, so what is not finite is null, and null is +Inf.
func toJSON(score float64) *float64 {
	if !finite(score) {
		return nil
	}
	return &score
}

func fromJSON(score *float64) float64 {
	if score == nil {
		return math.Inf(1)
	}
	return *score
}

// PlanError says why a file is no plan that this program can use.
type PlanError struct {
	Path string
	Err  error
}

func (e *PlanError) Error() string { return fmt.Sprintf("%s is no usable plan: %v", e.Path, e.Err) }
func (e *PlanError) Unwrap() error { return e.Err }

// ReadPlan reads and checks the plan at path. What is wrong with its content is a [PlanError].
func ReadPlan(path string) (*Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPlan+1))
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	p, err := DecodePlan(data)
	if err != nil {
		return nil, &PlanError{Path: path, Err: err}
	}
	return p, nil
}

// DecodePlan reads a plan from the bytes of its file.
func DecodePlan(data []byte) (*Plan, error) {
	if len(data) > maxPlan {
		return nil, fmt.Errorf("larger than %d MiB", maxPlan>>20)
	}
	// The version first: a newer one may well have fields that this one lacks.
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, explain(data, err)
	}
	if head.Format != planFormat {
		return nil, fmt.Errorf(`its "format" is %.80q, not %q`, head.Format, planFormat)
	}
	if head.Version != planVersion && head.Version != partsVersion {
		return nil, fmt.Errorf("version %d, this program reads %d and %d; use the program that made it", head.Version, planVersion, partsVersion)
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
	if p.version() > head.Version {
		return nil, fmt.Errorf("version %d has whole blocks only, but a mask keeps a part of one; write %d", planVersion, partsVersion)
	}
	return p, p.validate()
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
		Settings: f.Settings, Base: fromJSON(f.Base), Audit: f.Audit, Refine: f.Refine, HeldOut: f.HeldOut,
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
func (s *stepJSON) step(blocks int) (Step, error) {
	left := 4 * blocks
	parse := func(in planMask) (blockmask.Mask, error) {
		m, err := in.parse()
		if left -= len(m); err == nil && left < 0 {
			err = errors.New("the masks name more blocks than the model has")
		}
		return m, err
	}
	step := Step{
		Index: s.Index, Score: fromJSON(s.Score),
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
		step.Candidates = append(step.Candidates, Candidate{Mask: m, Score: fromJSON(c.Score), Sequences: c.Sequences})
	}
	return step, nil
}

func (p *Plan) file() *planJSON {
	f := &planJSON{
		Format: planFormat, Version: p.version(), Tool: p.Tool, LlamaCpp: p.LlamaCpp, Model: p.Model,
		Calibration: p.Calibration, Metric: p.Metric, Settings: p.Settings, Base: toJSON(p.Base), Audit: p.Audit, Refine: p.Refine,
		HeldOut: p.HeldOut,
		Steps:   []stepJSON{},
	}
	for _, s := range p.Steps {
		step := stepJSON{
			Index: s.Index, Removed: planMask{mask: s.Removed}, Score: toJSON(s.Score),
			ParamsRemoved: s.ParamsRemoved, Ratio: s.Ratio, Size: s.Size,
			Speedup: s.Speedup, Cost: s.Cost, PaperCost: s.PaperCost, Candidates: []candidateJSON{},
		}
		for _, c := range s.Candidates {
			step.Candidates = append(step.Candidates, candidateJSON{Block: planMask{mask: c.Mask}, Score: toJSON(c.Score), Sequences: c.Sequences})
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

// WritePlan writes the plan to path, replacing what is there: at every moment path is the old file or the whole new one.
func WritePlan(path string, p *Plan) error {
	data, err := p.Encode()
	if err != nil {
		return err
	}
	if err := outfile.WriteFile(path, data, true); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// ReadWholePlan is [ReadPlan] for a plan that removes whole blocks.
func ReadWholePlan(path string) (*Plan, error) {
	p, err := ReadPlan(path)
	if err == nil {
		if err = p.WholeBlocks(); err != nil {
			err = &PlanError{Path: path, Err: err}
		}
	}
	return p, err
}
