package record

import "testing"

func TestDidYouMean(t *testing.T) {
	words := []string{"acme-cloud", "borealis", "2026-014", "2026-015"}
	for written, want := range map[string]string{
		"acme-cluod": "acme-cloud",
		"Borealsi":   "borealis",
		"2026-14":    "2026-014", // a letter is missing in two words: the first
		"acme":       "acme-cloud",
		"BOR":        "borealis",
		"bo":         "", // two letters begin too much
		"2026":       "", // two words
		"cloud":      "",
		"":           "",
	} {
		if want != "" {
			want = `; did you mean "` + want + `"?`
		}
		if got := DidYouMean(written, words); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
}
