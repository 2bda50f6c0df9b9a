package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func example(beside bool) *Chart {
	return &Chart{Title: "Answers & costs", Axis: "us an answer", Parts: []string{"own", "switch"}, Beside: beside,
		Groups: []Group{{"NS", []Bar{{"a <b>", []float64{10, 20}, false}, {"ours", []float64{1, 2.5}, true}}},
			{"RS", []Bar{{"a", []float64{0, 0}, false}}}},
		Notes: []string{"one machine"}}
}

// TestWellFormed: what is drawn is XML, with a rectangle for each part and every
// word there.
func TestWellFormed(t *testing.T) {
	t.Parallel()
	for _, beside := range []bool{false, true} {
		var b strings.Builder
		if _, err := example(beside).WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		rects, words := 0, ""
		d := xml.NewDecoder(strings.NewReader(b.String()))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				if token.Name.Local == "rect" {
					rects++
				}
			case xml.CharData:
				words += string(token) + "\n"
			}
		}
		if want := 1 + 2 + 6; rects != want {
			t.Errorf("%d rectangles, want %d", rects, want)
		}
		for _, want := range []string{"Answers & costs", "a <b>", "us an answer", "own", "switch", "RS", "one machine", "20"} {
			if beside && want == "30" {
				continue
			}
			if !strings.Contains(words, want) {
				t.Errorf("%q is nowhere in\n%s", want, words)
			}
		}
	}
}

// TestEmpty: a chart of nothing is one, too.
func TestEmpty(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if _, err := (&Chart{Parts: []string{"x"}}).WriteTo(&b); err != nil || !strings.HasSuffix(b.String(), "</svg>\n") {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestStep(t *testing.T) {
	t.Parallel()
	for longest, want := range map[float64]float64{0: 1, 1: 0.2, 7: 1, 9: 2, 30: 5, 123: 20, 100_000: 20_000} {
		if got := step(longest); got != want {
			t.Errorf("step(%v) = %v, want %v", longest, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 7: "7", 0.456: "0.46", 12.34: "12.3", 123.4: "123", 1234: "1,234", 1234567: "1,234,567"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}
