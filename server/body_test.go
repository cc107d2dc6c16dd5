package server

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"testing"
	"testing/iotest"
)

func TestBodiesAreBoundedWhileTheyAreRead(t *testing.T) {
	const limit = 10_000
	b := newBodyPool(limit)
	for _, size := range []int{0, 1, 4095, 4096, 4097, limit - 1, limit, limit + 1, 3 * limit} {
		for _, announced := range []bool{true, false} {
			sent := bytes.Repeat([]byte{'x'}, size)
			r := httptest.NewRequest("POST", "/v1/records", bytes.NewReader(sent))
			if !announced {
				r.ContentLength = -1
			}
			got, err := b.read(r)
			if size <= limit {
				if err != nil || !bytes.Equal(*got, sent) {
					t.Fatalf("%d bytes: %d came back, %v", size, len(*got), err)
				}
				b.put(got)
				continue
			}
			var p *problem
			if !errors.As(err, &p) || p.kind != problemTooLarge || p.limit != limit || p.size <= limit {
				t.Errorf("%d bytes: %v, want %s with limit and size", size, err, problemTooLarge)
			}
			if announced && p.size != size {
				t.Errorf("said %d bytes, announced were %d", p.size, size)
			}
		}
	}
}

func TestBodiesThatDoNotArrive(t *testing.T) {
	for want, cause := range map[problemKind]error{problemSlowBody: os.ErrDeadlineExceeded, problemMalformed: io.ErrUnexpectedEOF} {
		r := httptest.NewRequest("POST", "/v1/records", io.MultiReader(bytes.NewReader([]byte(`{"pay`)), iotest.ErrReader(cause)))
		_, err := newBodyPool(100).read(r)
		if p := problemOf(err); p.kind != want || !errors.Is(err, cause) {
			t.Errorf("%v: answered %s, want %s", cause, p.kind, want)
		}
	}
}
