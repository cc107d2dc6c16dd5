package objectstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
)

// A store that breaks a promise is refused, in a sentence that names it; one that keeps all is
// left as it was.
func TestProbe(t *testing.T) {
	promises := []string{objectstore.AtomicCreation, objectstore.AtomicSwap, objectstore.StaleRefused, objectstore.ReadAfterWrite, objectstore.ListAfterWrite}
	for name, c := range map[string]struct {
		broken objectstoretest.Broken
		faults func(objectstoretest.Request) objectstoretest.Fault
		late   bool // what does not arrive at once does some requests later
		breaks string
		says   string
	}{
		"good":                       {},
		"conditions are ignored":     {broken: objectstoretest.Broken{IgnoresConditions: true}, breaks: objectstore.AtomicCreation},
		"conditions are not atomic":  {broken: objectstoretest.Broken{NotAtomic: true}, breaks: objectstore.AtomicCreation},
		"If-Match alone is ignored":  {broken: objectstoretest.Broken{IgnoresIfMatch: true}, breaks: objectstore.AtomicSwap},
		"reads are old":              {faults: onGet(objectstoretest.OldBody), breaks: objectstore.ReadAfterWrite},
		"listings are old":           {faults: onGet(objectstoretest.OldList), breaks: objectstore.ListAfterWrite},
		"good, and busy":             {faults: everySecond(objectstoretest.SlowDown)},
		"good, and answers are lost": {faults: everySecond(objectstoretest.Unheard)},
		"good, and told to repeat":   {faults: everySecond(objectstoretest.Conflict)},
		"good, and repeated":         {faults: everySecond(objectstoretest.Repeated)},
		"good, and late":             {faults: everySecond(objectstoretest.Later), late: true},
		"good, and without ETags":    {faults: everySecond(objectstoretest.NoETag)},
		"no ETags":                   {faults: func(objectstoretest.Request) objectstoretest.Fault { return objectstoretest.NoETag }, breaks: objectstore.AtomicCreation, says: "no ETag"},
	} {
		if c.says == "" && (c.breaks == objectstore.AtomicCreation || c.breaks == objectstore.AtomicSwap) {
			c.says = "of 32 writers at once were told that they wrote an object"
		}
		t.Run(name, inBubble(func(t *testing.T) {
			server := objectstoretest.NewServer()
			server.Broken = c.broken
			link := objectstoretest.NewLink(server)
			if link.Set(c.faults); c.late {
				link.ReleaseEvery = 50
			}
			config := objectstoretest.Config(link)
			config.Endpoints = []string{"http://a.example", "http://b.example"}
			var tried []string
			var last error
			err := objectstore.Probe(t.Context(), config, func(promise string, err error) { tried, last = append(tried, promise), err })
			if !errors.Is(err, last) || last == nil && err != nil {
				t.Errorf("it returned %v, and said %v", err, last)
			}
			if c.breaks == "" {
				if err != nil || !slices.Equal(tried, promises) {
					t.Errorf("%v, after %q", err, tried)
				}
			} else if !errors.Is(err, objectstore.ErrUnfit) || !strings.Contains(err.Error(), c.breaks) || !strings.Contains(err.Error(), c.says) || tried[len(tried)-1] != c.breaks {
				t.Errorf("%v, after %q; want that it breaks %q", err, tried, c.breaks)
			}
			if left := server.Objects(); c.faults == nil && len(left) > 0 {
				t.Errorf("it left %d objects behind", len(left))
			}
		}))
	}
}

func inBubble(test func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

func onGet(f objectstoretest.Fault) func(objectstoretest.Request) objectstoretest.Fault {
	return func(r objectstoretest.Request) objectstoretest.Fault {
		if r.Method == "LIST" || strings.HasSuffix(r.Key, "/read") {
			return f
		}
		return objectstoretest.None
	}
}

func everySecond(f objectstoretest.Fault) func(objectstoretest.Request) objectstoretest.Fault {
	n := 0
	return func(objectstoretest.Request) objectstoretest.Fault {
		if n++; n%2 == 0 {
			return f
		}
		return objectstoretest.None
	}
}
