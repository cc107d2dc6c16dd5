package main

import (
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"testing"
)

// The digest is of go.sum's lines, whatever the order in which the linker names modules; a
// module that is replaced counts as what replaces it.
func TestModulesDigest(t *testing.T) {
	a := &debug.Module{Path: "example.com/a", Version: "v1.2.0", Sum: "h1:YQ=="}
	b := &debug.Module{Path: "example.com/b", Version: "v0.1.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v0.2.0", Sum: "h1:Yg=="}}
	want := fmt.Sprintf("%x", sha256.Sum256([]byte("example.com/a v1.2.0 h1:YQ==\nexample.com/fork v0.2.0 h1:Yg==\n")))
	for _, deps := range [][]*debug.Module{{a, b}, {b, a}} {
		if got := newBuildInfo(&debug.BuildInfo{Deps: deps}).ModulesDigest; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := newBuildInfo(&debug.BuildInfo{Deps: []*debug.Module{a}}).ModulesDigest; got == want {
		t.Error("a module less, and the same digest")
	}
}
