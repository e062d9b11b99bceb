package render

import (
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// compareJSON is printed by compare.
type compareJSON struct {
	Command    string          `json:"command"`
	Comparison *comparisonJSON `json:"comparison"`
}

// comparisonJSON is models side by side.
type comparisonJSON struct {
	Text       string         `json:"text"`
	Context    int            `json:"n_ctx"`
	Batch      int            `json:"n_batch"`
	UBatch     int            `json:"n_ubatch"`
	Windows    int            `json:"sequences"`
	Positions  int            `json:"positions"`
	BaseLogits string         `json:"base_logits,omitempty"`
	Prompt     int            `json:"n_prompt,omitempty"`
	Generate   int            `json:"n_gen,omitempty"`
	Models     []comparedJSON `json:"models"`
	Rival      *rivalJSON     `json:"rival,omitempty"`
	Verdict    string         `json:"verdict,omitempty"`
}

// comparedJSON is one model.
type comparedJSON struct {
	Label      string          `json:"label"`
	Model      string          `json:"model,omitempty"`
	Pruning    string          `json:"pruning,omitempty"`
	Arch       string          `json:"arch,omitempty"`
	Type       string          `json:"type,omitempty"`
	Bytes      int64           `json:"bytes,omitempty"`
	Params     uint64          `json:"params,omitempty"`
	PPL        *float64        `json:"ppl"`
	StdErr     *float64        `json:"ppl_stderr"`
	Divergence *divergenceJSON `json:"divergence,omitempty"`
	Speed      *speedJSON      `json:"speed,omitempty"`
}

// divergenceJSON is how a model's predictions differ from the first one's.
type divergenceJSON struct {
	Ratio       *float64      `json:"ppl_ratio"`
	RatioErr    *float64      `json:"ppl_ratio_stderr"`
	LnRatio     *float64      `json:"ln_ppl_ratio"`
	LnRatioErr  *float64      `json:"ln_ppl_ratio_stderr"`
	Correlation *float64      `json:"ln_ppl_correlation"`
	KLD         *float64      `json:"kld"`
	KLDErr      *float64      `json:"kld_stderr"`
	KLDs        quantilesJSON `json:"kld_quantiles"`
	DeltaP      *float64      `json:"delta_p"`
	DeltaPErr   *float64      `json:"delta_p_stderr"`
	DeltaPs     quantilesJSON `json:"delta_p_quantiles"`
	RMS         *float64      `json:"delta_p_rms"`
	RMSErr      *float64      `json:"delta_p_rms_stderr"`
	SameTop     *float64      `json:"same_top"`
	SameTopErr  *float64      `json:"same_top_stderr"`
}

// quantilesJSON is a distribution over positions.
type quantilesJSON struct {
	Min    *float64 `json:"min"`
	P01    *float64 `json:"p0_1"`
	P1     *float64 `json:"p1"`
	P5     *float64 `json:"p5"`
	P10    *float64 `json:"p10"`
	P25    *float64 `json:"p25"`
	Median *float64 `json:"median"`
	P75    *float64 `json:"p75"`
	P90    *float64 `json:"p90"`
	P95    *float64 `json:"p95"`
	P99    *float64 `json:"p99"`
	P999   *float64 `json:"p99_9"`
	Max    *float64 `json:"max"`
}

// speedJSON is how fast a model runs, and what its context takes.
type speedJSON struct {
	Prompt        float64 `json:"prompt_tps"`
	PromptDev     float64 `json:"prompt_tps_stddev"`
	PromptRatio   float64 `json:"prompt_ratio,omitempty"`
	PromptRatioD  float64 `json:"prompt_ratio_stddev,omitempty"`
	Generate      float64 `json:"generate_tps"`
	GenerateDev   float64 `json:"generate_tps_stddev"`
	GenerateRatio float64 `json:"generate_ratio,omitempty"`
	GenerateRatD  float64 `json:"generate_ratio_stddev,omitempty"`
	Repeats       int     `json:"repetitions"`
	KVBytes       int64   `json:"kv_bytes_per_1k"`
	Load          float64 `json:"load_s"`
}

// rivalJSON is a quantisation of the first model.
type rivalJSON struct {
	Type   string `json:"type,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	Origin string `json:"origin,omitempty"`
	Label  string `json:"label,omitempty"`
	Model  string `json:"model,omitempty"`
	From   string `json:"requantized_from,omitempty"`
	Note   string `json:"note,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// newComparisonJSON returns nil for nil.
func newComparisonJSON(c *compare.Comparison) *comparisonJSON {
	if c == nil {
		return nil
	}
	j := &comparisonJSON{
		Text: c.Text, Context: c.Context, Batch: c.Batch, UBatch: c.UBatch, Windows: c.Windows, Positions: c.Positions,
		BaseLogits: c.BaseLogits, Models: []comparedJSON{}, Verdict: c.Verdict,
	}
	if c.Speed != nil {
		j.Prompt, j.Generate = c.Speed.Prompt, c.Speed.Generate
	}
	for _, r := range c.Rows {
		j.Models = append(j.Models, comparedJSON{
			Label: r.Label, Model: r.Path, Pruning: r.Pruned, Arch: r.Arch, Type: r.Type, Bytes: r.Bytes, Params: r.Params,
			PPL: jsonnum.Known(r.PPL.Value), StdErr: jsonnum.Known(r.PPL.StdErr), Divergence: newDivergenceJSON(r.KL), Speed: newSpeedJSON(r.Speed),
		})
	}
	if r := c.Rival; r != nil {
		j.Rival = &rivalJSON{r.Type, r.Bytes, r.Origin, r.Label, r.Path, r.From, r.Note, r.Reason}
	}
	return j
}

func newDivergenceJSON(k *kld.Report) *divergenceJSON {
	if k == nil {
		return nil
	}
	return &divergenceJSON{
		Ratio: jsonnum.Known(k.Ratio.Value), RatioErr: jsonnum.Known(k.Ratio.StdErr), LnRatio: jsonnum.Known(k.LnRatio.Value), LnRatioErr: jsonnum.Known(k.LnRatio.StdErr),
		Correlation: jsonnum.Known(k.Correlation), KLD: jsonnum.Known(k.KLD.Value), KLDErr: jsonnum.Known(k.KLD.StdErr), KLDs: newQuantilesJSON(k.KLDs),
		DeltaP: jsonnum.Known(k.DeltaP.Value), DeltaPErr: jsonnum.Known(k.DeltaP.StdErr), DeltaPs: newQuantilesJSON(k.DeltaPs),
		RMS: jsonnum.Known(k.RMSDeltaP.Value), RMSErr: jsonnum.Known(k.RMSDeltaP.StdErr), SameTop: jsonnum.Known(k.SameTop.Value), SameTopErr: jsonnum.Known(k.SameTop.StdErr),
	}
}

func newQuantilesJSON(q kld.Quantiles) quantilesJSON {
	return quantilesJSON{
		Min: jsonnum.Known(q.Min), P01: jsonnum.Known(q.P01), P1: jsonnum.Known(q.P1), P5: jsonnum.Known(q.P5), P10: jsonnum.Known(q.P10), P25: jsonnum.Known(q.P25),
		Median: jsonnum.Known(q.Median), P75: jsonnum.Known(q.P75), P90: jsonnum.Known(q.P90), P95: jsonnum.Known(q.P95), P99: jsonnum.Known(q.P99), P999: jsonnum.Known(q.P999),
		Max: jsonnum.Known(q.Max),
	}
}

func newSpeedJSON(s *compare.Speed) *speedJSON {
	if s == nil {
		return nil
	}
	return &speedJSON{
		Prompt: s.Prompt.Mean, PromptDev: s.Prompt.StdDev, PromptRatio: s.PromptRatio.Mean, PromptRatioD: s.PromptRatio.StdDev,
		Generate: s.Generate.Mean, GenerateDev: s.Generate.StdDev, GenerateRatio: s.GenerateRatio.Mean, GenerateRatD: s.GenerateRatio.StdDev,
		Repeats: s.Prompt.Repeats, KVBytes: s.KVPer1k, Load: s.Load.Seconds(),
	}
}
