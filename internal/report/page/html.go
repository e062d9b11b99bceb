package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"

	"github.com/ggufprune/ggufprune/internal/chart"
)

//go:embed assets
var assets embed.FS

//go:embed assets/style.css
var pageStyle string

var pageTemplate = template.Must(template.New("").Funcs(template.FuncMap{"svg": chart.HTML}).ParseFS(assets, "assets/page.html"))

// HTML returns the page.
func HTML(in Input) ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.ExecuteTemplate(&b, "page.html", struct {
		page
		Style template.CSS
	}{newPage(in), template.CSS(chart.CSS + pageStyle)})
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}
