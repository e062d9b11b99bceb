package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/format"
)

// cardTemplate is Markdown: text/template, with escaping of our own, since html/template does not know the language.
var cardTemplate = template.Must(template.New("card.md").Funcs(template.FuncMap{
	"md": markdown, "code": codeSpan, "fence": codeBlock,
}).ParseFS(assets, "assets/card.md"))

// card is a page as its Markdown template takes it.
type card struct {
	page
	FrontMatter           string
	Numbers               []cardNumber
	Removed               []blockmask.Block
	Channels              []blockmask.Cut // what stays of FFNs that lost some
	Blocks                int
	Done                  []stepRow
	Charts                string
	CurveFile, CurveTitle string
	HeatFile, HeatTitle   string
}

// cardNumber compares the original with the pruned model.
type cardNumber struct{ Name, Original, Pruned string }

// Card returns a model card for a hub: Markdown with YAML front matter, as Hugging Face reads it
// (https://huggingface.co/docs/hub/model-cards).
//
// A card is published, so it has the names of files and not the folders of this machine.
func Card(in Input) ([]byte, error) {
	in = in.withoutFolders()
	c := card{
		page: newPage(in), FrontMatter: in.frontMatter(), Numbers: in.cardNumbers(), Removed: in.Plan.Removed(in.steps()), Channels: in.Plan.Mask(in.steps()).Parts(),
		Blocks: len(in.Plan.Model.Blocks), Charts: urlPath(in.Charts),
	}
	for _, row := range c.Steps.Rows {
		if !row.Beyond {
			c.Done = append(c.Done, row)
		}
	}
	if c.Charts != "" && len(c.Curves) > 0 {
		c.CurveFile, c.CurveTitle = "curve-"+c.Curves[0].ID+".png", c.Curves[0].Title
	} else {
		c.Charts = ""
	}
	if c.Charts != "" && c.Heat != nil {
		c.HeatFile, c.HeatTitle = "importance.png", c.Heat.Title
	}
	var b bytes.Buffer
	if err := cardTemplate.Execute(&b, c); err != nil {
		return nil, fmt.Errorf("model card: %w", err)
	}
	return b.Bytes(), nil
}

// withoutFolders names files by their last element.
func (in Input) withoutFolders() Input {
	plan := *in.Plan
	plan.Model.Path = filepath.Base(plan.Model.Path)
	in.Plan = &plan
	if in.PlanPath != "" {
		in.PlanPath = filepath.Base(in.PlanPath)
	}
	if in.Pruned != nil {
		pruned := *in.Pruned
		pruned.Path = filepath.Base(pruned.Path)
		in.Pruned = &pruned
	}
	in.Command = slices.Clone(in.Command)
	for i, word := range in.Command {
		flag, path, joined := strings.Cut(word, "=") // --plan=/home/me/plan.json
		if !joined || !strings.HasPrefix(word, "-") {
			flag, path = "", word
		} else {
			flag += "="
		}
		if filepath.IsAbs(path) || strings.HasPrefix(path, "..") {
			in.Command[i] = flag + filepath.Base(path)
		}
	}
	return in
}

// cardNumbers are what was saved and what it cost.
func (in Input) cardNumbers() []cardNumber {
	p, k := in.Plan, in.steps()
	if k == 0 {
		return nil
	}
	s := p.Steps[k-1]
	size := s.Size
	if in.Pruned != nil {
		size = in.Pruned.Bytes
	}
	var out []cardNumber
	if size > 0 {
		out = append(out, cardNumber{"file size", format.Size(p.Model.Size), format.Size(size)})
	}
	out = append(
		out,
		cardNumber{"parameters", format.Count(p.Model.Params), fmt.Sprintf("%s (%s gone)", format.Count(in.params()), percent(in.gone()))},
	)
	if held := in.heldBack(); held != nil {
		out = append(out, cardNumber{"perplexity on text held back from the fit", scoreText(held.before, false), scoreText(held.after, false)})
	} else {
		out = append(out, cardNumber{shortMetric(p) + " on the calibration text", scoreText(p.Base, false), scoreText(s.Score, s.Sequences() > 0)})
	}
	if s.Speedup > 0 {
		out = append(out, cardNumber{"speed of generation, predicted", "×1", fmt.Sprintf("×%.2f", s.Speedup)})
	}
	return out
}

var (
	hubURL      = regexp.MustCompile(`^https?://(?:www\.)?huggingface\.co/([\w.-]+/[\w.-]+?)(?:\.git)?/?$`)
	licenseID   = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	languageTag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
	plainTag    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:-]{0,63}$`)
)

// frontMatter is the card's YAML. What a file says about itself is quoted, or left out where a hub would not take it.
func (in Input) frontMatter() string {
	meta := in.meta()
	var b strings.Builder
	if id := in.baseModel(); id != "" {
		fmt.Fprintf(&b, "base_model: %s\n", yamlString(id))
	}
	fmt.Fprintf(&b, "library_name: gguf\npipeline_tag: text-generation\n")
	switch license := strings.ToLower(meta.License); {
	case licenseID.MatchString(license):
		fmt.Fprintf(&b, "license: %s\n", yamlString(license))
	case license != "":
		fmt.Fprintf(&b, "license: other\nlicense_name: %s\n", yamlString(meta.License))
	}
	if meta.LicenseName != "" && meta.License == "other" {
		fmt.Fprintf(&b, "license_name: %s\n", yamlString(meta.LicenseName))
	}
	if strings.HasPrefix(meta.LicenseLink, "https://") {
		fmt.Fprintf(&b, "license_link: %s\n", yamlString(meta.LicenseLink))
	}
	yamlList(&b, "language", meta.Languages, languageTag)
	tags := []string{"gguf", "llama.cpp", "pruned", "blockpruner"}
	if in.narrowed().FFNs > 0 && in.Plan.Mask(in.steps()).Len() == 0 {
		tags = tags[:3]
	}
	for _, t := range meta.Tags {
		if !slices.Contains(tags, t) && len(tags) < 24 {
			tags = append(tags, t)
		}
	}
	yamlList(&b, "tags", tags, plainTag)
	return b.String()
}

// meta is what is known about the model: of the original, or else what the pruned file took over from it.
func (in Input) meta() Meta {
	if in.Source != nil {
		return in.Source.Meta
	}
	if in.Pruned != nil {
		return in.Pruned.Meta
	}
	return Meta{}
}

// baseModel is the hub's name of the original, as far as its file tells: its own repository, or that of the model that it was made from.
func (in Input) baseModel() string {
	var urls []string
	if in.Source != nil {
		urls = append(urls, in.Source.Meta.Repository, in.Source.Meta.BaseURL)
	}
	if in.Pruned != nil {
		urls = append(urls, in.Pruned.Meta.BaseURL)
	}
	for _, u := range urls {
		if m := hubURL.FindStringSubmatch(u); m != nil {
			return m[1]
		}
	}
	return ""
}

// yamlString quotes s: a JSON string is a YAML string.
func yamlString(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(clean(s)) != nil {
		return `""`
	}
	return strings.TrimSpace(b.String())
}

// yamlList writes those of the values that match.
func yamlList(b *strings.Builder, key string, values []string, match *regexp.Regexp) {
	first := true
	for _, v := range values {
		if !match.MatchString(v) {
			continue
		}
		if first {
			fmt.Fprintf(b, "%s:\n", key)
		}
		first = false
		fmt.Fprintf(b, "  - %s\n", yamlString(v))
	}
}

var special = regexp.MustCompile("[\\\\`*_{}\\[\\]<>#!|&~$]")

// markdown escapes text, so that nothing in it is mark-up.
func markdown(s string) string { return special.ReplaceAllString(clean(s), `\$0`) }

// codeSpan sets text as code in a table's cell. It uses the HTML element, for a table splits even code at a bar.
func codeSpan(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		if r < 0x80 && !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune(" .,:;/%+-=()", r)) {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return "<code>" + b.String() + "</code>"
}

// codeBlock sets lines as code, fenced by more backquotes than they have.
func codeBlock(s string) string {
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "\n" + visible(s) + "\n" + fence
}

// urlPath escapes a relative path for a link; "" stays "".
func urlPath(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
