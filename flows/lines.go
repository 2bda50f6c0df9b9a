package flows

import "fmt"

// Lines tells a Delta to people, one change a line: + for what comes, ~ for what
// changes and - for what goes.
func (d *Delta) Lines() []string {
	var out []string
	add := func(sign string, what any) { out = append(out, fmt.Sprintf("%s %v", sign, what)) }
	for _, m := range d.AddMeters {
		add("+", m)
	}
	for _, m := range d.ModMeters {
		add("~", m)
	}
	for i := range d.AddGroups {
		add("+", &d.AddGroups[i])
	}
	for i := range d.ModGroups {
		add("~", &d.ModGroups[i])
	}
	for _, b := range d.RemoveBuckets {
		add("-", fmt.Sprintf("group_id=%d bucket_id=%d", b.Group, b.Bucket.ID))
	}
	for _, b := range d.InsertBuckets {
		add("+", fmt.Sprintf("group_id=%d bucket_id=%d", b.Group, b.Bucket.ID))
	}
	for i := range d.AddFlows {
		add("+", &d.AddFlows[i])
	}
	for i := range d.DelFlows {
		add("-", &d.DelFlows[i])
	}
	for _, id := range d.DelGroups {
		add("-", fmt.Sprintf("group_id=%d", id))
	}
	for _, id := range d.DelMeters {
		add("-", fmt.Sprintf("meter=%d", id))
	}
	return out
}
