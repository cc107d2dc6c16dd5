package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/register"
)

// What this docket leaves is kept, so that the next one is tried on it: whoever gives the
// register another format makes the next one, with testdata/landed/make.
func TestThisFormatIsKept(t *testing.T) {
	name := filepath.Join("testdata", "landed", fmt.Sprintf("docket-%d.tar.gz", register.FormatVersion))
	if _, err := os.Stat(name); err != nil {
		t.Errorf("%v; testdata/landed/make makes it", err)
	}
}
