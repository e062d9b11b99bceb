package main

import (
	"errors"
	"strings"
	"testing"
)

func TestWidthTable(t *testing.T) {
	var out strings.Builder
	sw := &widthSweep{out: &out, reasons: map[string][]string{}}
	sw.refuses("a", "ffn:0 is odd")
	sw.refuses("b", "it has no FFN")
	sw.refuses("c", "ffn:12 is odd")
	sw.refuses("d"+inQ4, "it has no FFN") // the model itself was not refused
	sw.fails("e", errors.New("cannot load"))
	if sw.refused != 3 || sw.wrong != 2 {
		t.Errorf("%d refused, %d wrong; want 3, 2", sw.refused, sw.wrong)
	}
	out.Reset()
	sw.table()
	want := "refused   2  ffn:N is odd\n             a c\nrefused   1  it has no FFN\n             b\n"
	if out.String() != want {
		t.Errorf("the table is\n%s", out.String())
	}
}
