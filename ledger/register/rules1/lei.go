package rules1

import (
	"errors"
	"fmt"
)

var errLEICheckDigits = errors.New("legal entity identifier: the check digits do not agree, so some character is mistyped")

// checkLEI judges a legal entity identifier by ISO 17442-1: 18 letters and
// digits, then two check digits such that the whole, each letter read as 10 to
// 35, leaves 1 modulo 97 (ISO/IEC 7064, MOD 97-10).
func checkLEI(lei string) error {
	if len(lei) != 20 {
		return fmt.Errorf("legal entity identifier: %d characters, want 20 (18 capital letters and digits, 2 check digits)", len(lei))
	}
	rest := 0
	for i := range len(lei) {
		switch b := lei[i]; {
		case '0' <= b && b <= '9':
			rest = (rest*10 + int(b-'0')) % 97
		case 'A' <= b && b <= 'Z' && i < 18:
			rest = (rest*100 + int(b-'A') + 10) % 97
		default:
			return fmt.Errorf("legal entity identifier: %q at position %d, want capital letters and digits, the last two digits", b, i+1)
		}
	}
	if rest != 1 {
		return errLEICheckDigits
	}
	return nil
}
