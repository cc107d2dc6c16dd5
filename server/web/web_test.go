package web_test

import (
	"testing"

	"github.com/seed-53cf897a/docket/server/web"
)

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 day": web.Count(1, "day"), "2 days": web.Count(2, "day"), "0 records": web.Count(0, "record"),
		"1 entry": web.Count(uint64(1), "entry"), "3 entries": web.Count(3, "entry"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
