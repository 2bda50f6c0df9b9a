package store

import "testing"

func TestModifiers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	if _, ok, err := s.Modifier("blue"); ok || err != nil {
		t.Errorf("one that was never kept: %v, %v", ok, err)
	}
	want := Modifier{Key: [16]byte{1, 2}, Sec: 1, Value: [16]byte{3, 4}}
	for _, m := range []Modifier{{Sec: 0}, want} {
		if err := s.RecordModifier("blue", m); err != nil {
			t.Fatal(err)
		}
	}
	if s.RecordModifier("", want) == nil {
		t.Error("kept for a network without a name")
	}
	_ = s.Close()
	s, _ = mustOpen(t, dir)
	if got, ok, err := s.Modifier("blue"); got != want || !ok || err != nil {
		t.Errorf("after a restart: %+v, %v, %v", got, ok, err)
	}
}
