package listimport

import (
	"fmt"
	"strconv"
	"strings"
)

// RemovalError is the guard against a broken feed: more would be revoked than the
// charter lets one import revoke. Nothing was planned.
type RemovalError struct {
	Removed    int   // threads that are no longer on the list
	InForce    int   // the list's threads that live, without persons where those are outside
	MaxPercent int64 // the charter's imports[].maxRemovedPercent
}

func (e *RemovalError) Error() string {
	return fmt.Sprintf("%s of %s would go (%s %%, limit %d %%); if true: --allow-removed %d",
		withThousands(e.Removed), withThousands(e.InForce), e.percent(), e.MaxPercent, e.Removed)
}

// percent has one digit behind the point, more where it would read like the limit.
func (e *RemovalError) percent() string {
	share := 100 * float64(e.Removed) / float64(e.InForce)
	for digits := 1; ; digits++ {
		s := strconv.FormatFloat(share, 'f', digits, 64)
		if shown, _ := strconv.ParseFloat(s, 64); shown > float64(e.MaxPercent) || digits == 6 {
			return s
		}
	}
}

// checkRemovals allows the removals that stay within the charter's percentage, or that
// were allowed by number.
func checkRemovals(removed, inForce int, o Options) error {
	if int64(removed)*100 <= o.MaxRemovedPercent*int64(inForce) || removed <= o.AllowRemoved {
		return nil
	}
	return &RemovalError{removed, inForce, o.MaxRemovedPercent}
}

// withThousands writes 7379 as "7,379".
func withThousands(n int) string {
	s := strconv.Itoa(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}
