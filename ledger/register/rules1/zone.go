package rules1

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// zoneinfo is Go 1.26's lib/time/zoneinfo.zip, byte for byte: the IANA time zone
// database 2025c, compiled (public domain; https://www.iana.org/time-zones).
//
//go:embed zoneinfo.zip
var zoneinfo []byte

// zones keeps each location once loaded: name (string) → *time.Location.
var zones sync.Map

// Location is the time zone of that IANA name in the frozen tzdata. Names are
// exact; neither "Local" nor "" is one.
func Location(name string) (*time.Location, error) {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location), nil
	}
	data, err := zoneData(name)
	if err != nil {
		return nil, err
	}
	loc, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	}
	zones.Store(name, loc)
	return loc, nil
}

func zoneData(name string) ([]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		return nil, fmt.Errorf("embedded tzdata: %w", err)
	}
	for _, f := range archive.File {
		if f.Name != name || f.FileInfo().IsDir() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("embedded tzdata: %s: %w", name, err)
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return nil, fmt.Errorf("no time zone %q in tzdata 2025c: use an IANA name such as America/New_York", name)
}

// DateIn is the civil date of the instant t in loc.
func DateIn(t time.Time, loc *time.Location) record.Date {
	return record.DateOf(t, loc)
}
