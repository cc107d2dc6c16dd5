package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is not known to be permitted is refused by name: a copyleft licence, a text that
// nobody knows, none at all.
func TestLicenceOf(t *testing.T) {
	apache, err := os.ReadFile("../../../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, text, want, fault string }{
		{"LICENSE", string(apache), "Apache-2.0", ""},
		{"COPYING.txt", "This program is free software: you can redistribute it and/or modify it under the terms of the GNU Affero General Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.", "", "AGPL-3.0"},
		{"LICENSE.md", "All rights reserved. Ask the author, who may say no.", "", "0 % of it is a known licence"},
		{"license_test.go", string(apache), "", "no licence at its root"},
		{"README", "MIT", "", "no licence at its root"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, texts, err := licenceOf(dir)
		switch {
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %q, %v; want an error that says %q", c.file, got, err, c.fault)
		case c.fault == "" && (err != nil || got != c.want || !strings.Contains(string(texts), "TERMS AND CONDITIONS")):
			t.Errorf("%s: %q, %v; want %s and its text", c.file, got, err, c.want)
		}
	}
}
