package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// Facts are what the checks of Unsuitable need to know. What could not be learned is empty, and becomes a warning.
type Facts struct {
	App        string
	Rotates    bool // a rotation is under way
	Project    string
	Containers []Container
	Beside     []Container // backends that do not serve yet
	Version    string      // of GET /api/service-info; empty where it does not tell
	Image      string      // of the backend: its tag tells where service-info does not
	// The Platform's own configuration, by its path on the VM; why it cannot be read, likewise.
	Settings   map[string]string
	Unreadable map[string]string
	// Parameters that override ours and exist; why they cannot be looked for.
	Overriding []string
	Unlooked   string
	Unhealthy  map[string]string // container of a backend → why its health is bad
	Asked      int               // how many backends were asked for their health
	Sessions   *Sessions
}

// Sessions is who is connected to the Platform's database.
type Sessions struct {
	Database string
	Own      string   // the host that this VM has to the database
	Hosts    []string // of the other sessions
}

// Verdict is what the checks found.
type Verdict struct {
	Problems []string
	Warnings []string
	Evidence []proof.Evidence
}

func (v *Verdict) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

func (v *Verdict) warn(format string, args ...any) {
	v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...))
}

// check runs one check and keeps how it turned out.
func (v *Verdict) check(name, holds string, do func()) {
	problems, warnings := len(v.Problems), len(v.Warnings)
	do()
	switch {
	case len(v.Problems) > problems:
		v.Evidence = append(v.Evidence, proof.Evidence{Check: name, Detail: strings.Join(v.Problems[problems:], " ")})
	case len(v.Warnings) > warnings:
		v.Evidence = append(v.Evidence, proof.Evidence{Check: name, OK: true, Detail: strings.Join(v.Warnings[warnings:], " ")})
	default:
		v.Evidence = append(v.Evidence, proof.Evidence{Check: name, OK: true, Detail: holds})
	}
}

// Unsuitable says why this Platform cannot rotate, a sentence a reason.
func Unsuitable(f Facts) Verdict {
	var v Verdict
	v.check("platform_version", "the Platform is 25.2 or later", func() { f.version(&v) })
	v.check("reads_ssm", "backend and cron read SSM", func() { f.readsSSM(&v) })
	v.check("no_leftovers", "no rotation setting outlives the parameters", func() { f.leftovers(&v) })
	v.check("no_overrides", "no other parameter overrides those of the rotation", func() { f.overrides(&v) })
	v.check("application_name", "the Platform's micronaut.application.name is "+f.App, func() { f.application(&v) })
	v.check("roles", "the services' roles are those that MICRONAUT_ENVIRONMENTS says", func() { f.roles(&v) })
	v.check("backends_healthy", fmt.Sprintf("%d backends answered their own health check", f.Asked), func() { f.health(&v) })
	v.check("one_host", "no session from another host uses the database", func() { f.sessions(&v) })
	return v
}

// Rotation exists from this version on.
const leastMajor, leastMinor = 25, 2

func (f Facts) version(v *Verdict) {
	said, where := f.Version, "service-info"
	if said == "" {
		said, where = tag(f.Image), "the tag of "+f.Image
	}
	major, minor, ok := release(said)
	switch {
	case !ok:
		v.warn("The version of this Platform is not known: neither service-info nor the tag of %s tells it. Rotation requires %d.%d or later.", cmp.Or(f.Image, "its image"), leastMajor, leastMinor)
	case major < leastMajor || major == leastMajor && minor < leastMinor:
		v.problem("This Platform is %s (by %s), and rotation requires %d.%d or later. Upgrade it first: an older one would lose every credential.", said, where, leastMajor, leastMinor)
	}
}

// tag is that of an image's reference, empty where it has none.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	at := strings.LastIndexByte(image, ':')
	if at < 0 || strings.Contains(image[at:], "/") {
		return ""
	}
	return image[at+1:]
}

// release reads the first two numbers of a version such as v25.2.0-rc1.
func release(text string) (major, minor int, ok bool) {
	numbers := regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})`).FindStringSubmatch(text)
	if numbers == nil {
		return 0, 0, false
	}
	major, _ = strconv.Atoi(numbers[1])
	minor, _ = strconv.Atoi(numbers[2])
	return major, minor, true
}

func (f Facts) holders() []Container {
	return slices.DeleteFunc(slices.Clone(f.Containers), func(c Container) bool { return !c.Role.HoldsKeys() })
}

func value(c Container, name string) string {
	return c.Environment[name].Reveal() //nolint:forbidigo // a switch or a list of words, compared and not shown
}

func (f Facts) readsSSM(v *Verdict) {
	for _, c := range f.holders() {
		if !strings.EqualFold(value(c, "TOWER_ENABLE_AWS_SSM"), "true") {
			v.problem("Container %s does not read SSM, so it would never see the new key. Set TOWER_ENABLE_AWS_SSM=true in its environment (tower.env), then recreate it.", c.Name)
			continue
		}
		if _, ok := c.Environment["TOWER_CRYPTO_SECRETKEY"]; ok {
			v.warn("Container %s has TOWER_CRYPTO_SECRETKEY in its environment as well. SSM wins over it. It is one more copy of a key, which no rotation changes.", c.Name)
		}
	}
}

func (f Facts) leftovers(v *Verdict) {
	for _, c := range f.Containers {
		for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
			if strings.HasPrefix(name, "TOWER_SECRET_ROTATION_") {
				v.problem("Container %s has %s in its environment, which outlives the rotation's parameters. Remove it (tower.env), then recreate the container.", c.Name, name)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(f.Settings)) {
		for _, name := range scan(f.Settings[path]).names {
			if strings.Contains(hyphens(name), "secret-rotation") {
				v.problem("%s has %s, which outlives the rotation's parameters. Remove it, then restart backend and cron.", path, name)
				break
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(f.Unreadable)) {
		v.warn("The Platform's settings %s cannot be read (%s), so no leftover of a rotation is found there.", path, f.Unreadable[path])
	}
}

func (f Facts) overrides(v *Verdict) {
	for _, name := range f.Overriding {
		v.problem("The SSM parameter %s overrides the rotation's. Delete it, or give the rotation its value: the Platform would keep using it.", name)
	}
	if f.Unlooked != "" {
		v.warn("Parameters that would override the rotation's cannot be looked for: %s", f.Unlooked)
	}
}

// Overriding are the names that Micronaut prefers to ours, such as /config/<app>_<environment>/…, or takes for the same (a.b.c).
func Overriding(containers []Container, configPrefix string, ours []string) []string {
	environments := map[string]bool{}
	for _, c := range containers {
		if c.Role.HoldsKeys() {
			for _, name := range micronaut(c) {
				environments[name] = true
			}
		}
	}
	var names []string
	for _, name := range ours {
		below, ok := strings.CutPrefix(name, configPrefix+"/")
		if !ok {
			continue
		}
		dotted := strings.ReplaceAll(below, "/", ".")
		names = append(names, configPrefix+"/"+dotted)
		for _, environment := range slices.Sorted(maps.Keys(environments)) {
			names = append(names, configPrefix+"_"+environment+"/"+below, configPrefix+"_"+environment+"/"+dotted)
		}
	}
	return names
}

// micronaut are the names in MICRONAUT_ENVIRONMENTS; the installer's list ends with commas.
func micronaut(c Container) []string {
	var names []string
	for name := range strings.SplitSeq(value(c, "MICRONAUT_ENVIRONMENTS"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (f Facts) application(v *Verdict) {
	for _, c := range f.holders() {
		name, where := value(c, "MICRONAUT_APPLICATION_NAME"), "MICRONAUT_APPLICATION_NAME"
		for _, m := range c.Mounts {
			if text, ok := f.Settings[m.Source]; ok && name == "" {
				name, where = scan(text).application, m.Source
			}
		}
		switch {
		case name == "" || strings.Contains(name, "${"):
			v.warn("The application name of container %s is not known, so it is not compared with app_name.", c.Name)
		case name != f.App:
			v.problem("Container %s has the application name %s (by %s), and app_name is %s: it reads other parameters. Set app_name to %s.", c.Name, name, where, f.App, name)
		}
	}
}

func (f Facts) roles(v *Verdict) {
	var crons []string
	for _, c := range f.Containers {
		environments := micronaut(c)
		cron, ha := slices.Contains(environments, "cron"), slices.Contains(environments, "ha")
		if c.Role == proof.RoleCron {
			crons = append(crons, c.Name)
		}
		switch {
		case c.Role == proof.RoleOther:
			if len(environments) > 0 && slices.ContainsFunc(slices.Collect(maps.Keys(c.Environment)), func(name string) bool { return strings.HasPrefix(name, "TOWER_") }) {
				v.problem("Container %s is one of the Platform's (it has TOWER settings and MICRONAUT_ENVIRONMENTS), and the option services does not name its service %s. Name it under backends or cron.", c.Name, c.Service)
			}
		case c.Role != proof.RoleCron && c.Role != proof.RoleBackend:
		case len(environments) == 0:
			v.warn("Container %s has no MICRONAUT_ENVIRONMENTS, so its role is told by the name of its service alone.", c.Name)
		case c.Role == proof.RoleCron && (!cron || ha):
			v.problem("Service %s is named as cron, but MICRONAUT_ENVIRONMENTS of container %s says otherwise (%s). Correct the option services.", c.Service, c.Name, strings.Join(environments, ","))
		case c.Role == proof.RoleBackend && (cron || !ha):
			v.problem("Service %s is named as a backend, but MICRONAUT_ENVIRONMENTS of container %s says otherwise (%s). Correct the option services.", c.Service, c.Name, strings.Join(environments, ","))
		}
	}
	if len(crons) > 1 {
		v.problem("There are %d cron containers (%s), and the Platform allows one. Stop all but one.", len(crons), list(crons))
	}
}

func (f Facts) health(v *Verdict) {
	for _, name := range slices.Sorted(maps.Keys(f.Unhealthy)) {
		if f.Rotates {
			v.warn("Backend %s is not healthy: %s. The rotation is under way and goes on all the same: it may be what restarts it.", name, f.Unhealthy[name])
			continue
		}
		v.problem("Backend %s is not healthy: %s. Fix it, then rotate.", name, f.Unhealthy[name])
	}
	if f.Asked == 0 && len(f.Unhealthy) == 0 {
		v.warn("No backend was asked for its own health.")
	}
}

// sessions looks for hosts that are neither this VM nor one of the project's containers.
func (f Facts) sessions(v *Verdict) {
	if f.Sessions == nil {
		v.warn("Who else uses the database is not known.")
		return
	}
	known := []string{"localhost", "127.0.0.1", "::1", f.Sessions.Own}
	var names []string
	for _, c := range slices.Concat(f.Containers, f.Beside) {
		known, names = append(known, c.Addresses...), append(names, c.Name)
	}
	var strange []string
	for _, host := range f.Sessions.Hosts {
		short, _, _ := strings.Cut(host, ".")
		if !slices.Contains(known, host) && !slices.Contains(names, short) {
			strange = append(strange, host)
		}
	}
	if len(strange) > 0 {
		v.problem("The database %s has sessions from other hosts (%s). Another Platform or program there may use the old key. Stop it first.", f.Sessions.Database, strings.Join(strange, ", "))
	}
}
