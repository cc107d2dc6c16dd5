package programme_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
)

func statesOf(lives []*life) iter.Seq2[*event.State, error] {
	return func(yield func(*event.State, error) bool) {
		for _, l := range lives {
			if !yield(&l.state, nil) {
				return
			}
		}
	}
}

// TestQueue: pages of any size, put together, are the whole queue in its order, each row
// once, whatever order the customers come in.
func TestQueue(t *testing.T) {
	const seed = 14
	r := rand.New(rand.NewPCG(seed, 0))
	var lives []*life
	for i := range 40 {
		l := person(t, fmt.Sprintf("2027-01-%02d", 1+i%7), func(c *event.Opened) {
			c.Account = fmt.Sprintf("acct-%d", i)
			if i%3 == 0 {
				c.Address, c.Country = nil, "XB"
			}
		})
		if i%4 == 0 {
			l.add("2027-01-10", failed)
		}
		lives = append(lives, l)
	}
	h, day := history(t, plain), date(t, "2027-01-31")
	var want []string
	late := 0
	for _, l := range lives {
		for _, d := range h.Due(&l.state, time.UTC, day) {
			want = append(want, fmt.Sprint(d.By, l.state.Handle, d.Duty, d.About, d.Elements))
			if d.Late(day) {
				late++
			}
		}
	}
	slices.Sort(want)
	for _, limit := range []int{1, 2, 3, 7, len(want) - 1, len(want), len(want) + 1} {
		r.Shuffle(len(lives), func(i, j int) { lives[i], lives[j] = lives[j], lives[i] })
		var got []string
		ask := programme.Ask{Day: day, Zone: time.UTC, Limit: limit}
		for pages := 0; ; pages++ {
			page, err := h.Queue(statesOf(lives), ask)
			if err != nil {
				t.Fatal(err)
			}
			if page.Due != len(want) || page.Late != late || len(page.Rows) > limit {
				t.Fatalf("a page of %d at most says %d due, %d late, %d rows; want %d, %d (seed %d)", limit, page.Due, page.Late, len(page.Rows), len(want), late, seed)
			}
			for _, row := range page.Rows {
				got = append(got, fmt.Sprint(row.By, row.Handle, row.Duty, row.About, row.Elements))
			}
			if ask.After = page.Next; ask.After == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %d rows in all, want %d in their order (seed %d)", limit, len(got), len(want), seed)
		}
	}
	page, err := h.Queue(statesOf(lives), programme.Ask{Day: day, Zone: time.UTC, Limit: 1000, LateOnly: true, Duty: programme.DutyVerify})
	if err != nil || len(page.Rows) == 0 || page.Due != page.Late || page.Due != len(page.Rows) {
		t.Fatalf("the late verifications: %d rows, %d due, %d late, %v", len(page.Rows), page.Due, page.Late, err)
	}
	for _, row := range page.Rows {
		if row.Duty != programme.DutyVerify || !row.Late(day) || !strings.HasPrefix(row.Account, "acct-") || row.Name != "Ana Reed" {
			t.Errorf("among the late verifications: %+v", row)
		}
	}
}

func TestQueueRefuses(t *testing.T) {
	h, day := history(t, plain), date(t, "2027-01-31")
	ask := programme.Ask{Day: day, Zone: time.UTC, Limit: 10}
	for _, after := range []programme.Cursor{"x", "2027-01-31", "2027-01-31|x|verify||", "||||"} {
		ask := ask
		ask.After = after
		if _, err := h.Queue(statesOf(nil), ask); err == nil || !strings.Contains(err.Error(), "no place in the queue") {
			t.Errorf("after %q: %v", after, err)
		}
	}
	gone := errors.New("the disk is gone")
	if _, err := h.Queue(func(yield func(*event.State, error) bool) { yield(nil, gone) }, ask); !errors.Is(err, gone) {
		t.Errorf("an iterator that fails: %v", err)
	}
	ask.Limit = 0
	if _, err := h.Queue(statesOf(nil), ask); err == nil {
		t.Error("a page of no rows")
	}
}
