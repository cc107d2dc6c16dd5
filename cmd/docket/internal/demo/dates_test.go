package demo

import (
	"testing"
	"time"
)

// TestMoveIsOneDay: whenever the demo is played, the charter that moves the office makes its
// today the next day, and nothing else of the date.
func TestMoveIsOneDay(t *testing.T) {
	for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2040; at = at.Add(7 * time.Hour) {
		before, err := newScenarioDates(at, zoneAtFirst)
		if err != nil {
			t.Fatal(err)
		}
		after, err := newScenarioDates(at, zoneAfterMove)
		if err != nil {
			t.Fatal(err)
		}
		if want := before.today.AddDays(1); after.today != want {
			t.Fatalf("%s: it is %s in %s and %s in %s, want %s", at, before.today, zoneAtFirst, after.today, zoneAfterMove, want)
		}
	}
}
