package record

import "fmt"

// faults gathers what the rules across fields find.
type faults struct{ list []Fault }

func (f *faults) add(pointer, format string, args ...any) {
	f.list = append(f.list, Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

// when adds a fault if broken; the pointer is a format only where it has arguments.
func (f *faults) when(broken bool, detail, pointer string, args ...any) {
	if broken {
		f.list = append(f.list, Fault{Pointer: at(pointer, args...), Detail: detail})
	}
}

func at(pointer string, args ...any) string {
	if len(args) == 0 {
		return pointer
	}
	return fmt.Sprintf(pointer, args...)
}

// checkOrder: a period does not end before it begins.
func checkOrder(from, until *Date, pointer, first string, f *faults) {
	if from != nil && until != nil && until.Before(*from) {
		f.add(pointer, "is %s, before %s (%s)", until, first, from)
	}
}
