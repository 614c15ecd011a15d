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

// Facts is the input of Unsuitable. A fact that is not known is empty, and becomes a warning.
type Facts struct {
	App        string
	Rotates    bool // a rotation is running
	Project    string
	Containers []Container
	Pending    []Container // backends that do not serve yet; see Serving
	Version    string      // from GET /api/service-info; empty if it does not tell
	Image      string      // the backend's image; its tag is the version if service-info has none
	// The content of the Platform's configuration files, and the reasons why files cannot be read, by path on the VM.
	Settings   map[string]string
	Unreadable map[string]string
	// Existing parameters that override the rotation's parameters. OverridingUnknown is the reason why they could not be read.
	Overriding        []string
	OverridingUnknown string
	Unhealthy         map[string]string // backend container → why it is not healthy
	Asked             int               // how many backends were asked for their health
	Sessions          *Sessions
}

// Sessions says who is connected to the Platform's database.
type Sessions struct {
	Database   string
	Own        string      // this VM's host, as the database sees it
	Hosts      []string    // hosts of the other sessions
	Containers []Container // the Platform's containers right after the sessions were read
	All        bool        // the sessions of all database users were visible
}

// Verdict is the result of Unsuitable. Problems and Warnings are sentences.
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

// check runs one check and adds its evidence. passed is the evidence if the check adds no problem and no warning.
func (v *Verdict) check(name, passed string, do func()) {
	problems, warnings := len(v.Problems), len(v.Warnings)
	do()
	switch {
	case len(v.Problems) > problems:
		v.Evidence = append(v.Evidence, proof.Evidence{Check: name, Detail: strings.Join(v.Problems[problems:], " ")})
	case len(v.Warnings) > warnings:
		v.Evidence = append(v.Evidence, proof.Evidence{Check: name, OK: true, Detail: strings.Join(v.Warnings[warnings:], " ")})
	default:
		v.Evidence = append(v.Evidence, proof.Evidence{Check: name, OK: true, Detail: passed})
	}
}

// Unsuitable returns the reasons why this Platform cannot rotate, with warnings and evidence.
func Unsuitable(f Facts) Verdict {
	var v Verdict
	v.check("platform_version", "the Platform is 25.2 or later", func() { f.version(&v) })
	v.check("reads_ssm", "backend and cron read SSM", func() { f.readsSSM(&v) })
	v.check("no_leftovers", "no rotation setting remains after the rotation's parameters are removed", func() { f.leftovers(&v) })
	v.check("no_overrides", "no other parameter overrides those of the rotation", func() { f.overrides(&v) })
	v.check("application_name", "the Platform's micronaut.application.name is "+f.App, func() { f.application(&v) })
	v.check("roles", "the roles of the services match MICRONAUT_ENVIRONMENTS", func() { f.roles(&v) })
	v.check("backends_healthy", fmt.Sprintf("%d backends answered their own health check", f.Asked), func() { f.health(&v) })
	who := "no session"
	if f.Sessions != nil && !f.Sessions.All {
		who += " of the Platform's database user" // the others are visible only with the privilege PROCESS
	}
	v.check("one_host", who+" from another host uses the database", func() { f.sessions(&v) })
	return v
}

// leastMajor and leastMinor are the first version that can rotate.
const leastMajor, leastMinor = 25, 2

func (f Facts) version(v *Verdict) {
	said, where := f.Version, "service-info"
	if said == "" {
		said, where = tag(f.Image), "the tag of "+f.Image
	}
	major, minor, ok := release(said)
	switch {
	case !ok:
		v.warn("The version of this Platform is not known: neither service-info nor the tag of %s has it. Rotation requires %d.%d or later.", cmp.Or(f.Image, "its image"), leastMajor, leastMinor)
	case major < leastMajor || major == leastMajor && minor < leastMinor:
		v.problem("This Platform is version %s (according to %s), but rotation requires %d.%d or later. Upgrade it first: an older version would lose every credential.", said, where, leastMajor, leastMinor)
	}
}

// tag returns the tag of an image reference, or "".
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	at := strings.LastIndexByte(image, ':')
	if at < 0 || strings.Contains(image[at:], "/") {
		return ""
	}
	return image[at+1:]
}

// release parses the first two numbers of a version such as v25.2.0-rc1.
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
	return c.Environment[name].Reveal() //nolint:forbidigo // a switch or a list of words, which is compared but not shown
}

func (f Facts) readsSSM(v *Verdict) {
	for _, c := range f.holders() {
		if !strings.EqualFold(value(c, "TOWER_ENABLE_AWS_SSM"), "true") {
			v.problem("Container %s does not read SSM, so it would never see the new key. Set TOWER_ENABLE_AWS_SSM=true in its environment (tower.env), then recreate it.", c.Name)
			continue
		}
		if _, ok := c.Environment["TOWER_CRYPTO_SECRETKEY"]; ok {
			v.warn("Container %s also has TOWER_CRYPTO_SECRETKEY in its environment. SSM takes precedence. The variable is another copy of a key, and a rotation does not change it.", c.Name)
		}
	}
}

func (f Facts) leftovers(v *Verdict) {
	for _, c := range f.Containers {
		for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
			if strings.HasPrefix(name, "TOWER_SECRET_ROTATION_") {
				v.problem("Container %s has %s in its environment, which would remain after the rotation's parameters are removed. Remove it (tower.env), then recreate the container.", c.Name, name)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(f.Settings)) {
		if hasRotation(f.Settings[path]) {
			v.problem("%s has settings of a rotation (tower.secret-rotation), which would remain after the rotation's parameters are removed. Remove them, then restart backend and cron.", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(f.Unreadable)) {
		v.warn("The Platform's settings %s cannot be read (%s), so they were not checked for leftovers of a rotation.", path, f.Unreadable[path])
	}
}

func (f Facts) overrides(v *Verdict) {
	for _, name := range f.Overriding {
		v.problem("The SSM parameter %s overrides a parameter of the rotation, so the Platform would keep using its value. Delete it, or use its value for the rotation.", name)
	}
	if f.OverridingUnknown != "" {
		v.warn("It was not checked whether other parameters override those of the rotation: %s", f.OverridingUnknown)
	}
}

// Overriding returns the names of the parameters that would override ours: Micronaut prefers /config/<app>_<environment>/…, and it
// reads the name a.b.c as a/b/c.
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

// micronaut returns the names in MICRONAUT_ENVIRONMENTS. The installer's list ends with commas.
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
				name, where = applicationName(text), m.Source
			}
		}
		switch {
		case name == "" || strings.Contains(name, "${"):
			v.warn("The application name of container %s is not known, so it was not compared with app_name.", c.Name)
		case name != f.App:
			v.problem("Container %s has the application name %s (from %s), but app_name is %s, so the container reads other parameters. Set app_name to %s.", c.Name, name, where, f.App, name)
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
				v.problem("Container %s belongs to the Platform (it has TOWER settings and MICRONAUT_ENVIRONMENTS), but the option services does not name its service %s. Add it to backends or cron.", c.Name, c.Service)
			}
		case c.Role != proof.RoleCron && c.Role != proof.RoleBackend:
		case len(environments) == 0:
			v.warn("Container %s has no MICRONAUT_ENVIRONMENTS, so its role is known only from the name of its service.", c.Name)
		case c.Role == proof.RoleCron && (!cron || ha):
			v.problem("The option services names %s as cron, but MICRONAUT_ENVIRONMENTS of container %s says otherwise (%s). Correct the option services.", c.Service, c.Name, strings.Join(environments, ","))
		case c.Role == proof.RoleBackend && (cron || !ha):
			v.problem("The option services names %s as a backend, but MICRONAUT_ENVIRONMENTS of container %s says otherwise (%s). Correct the option services.", c.Service, c.Name, strings.Join(environments, ","))
		}
	}
	if len(crons) > 1 {
		v.problem("There are %d cron containers (%s), but the Platform allows only one. Stop the others.", len(crons), list(crons))
	}
}

func (f Facts) health(v *Verdict) {
	for _, name := range slices.Sorted(maps.Keys(f.Unhealthy)) {
		if f.Rotates {
			v.warn("Backend %s is not healthy: %s. The running rotation continues, because it may restart the backend.", name, f.Unhealthy[name])
			continue
		}
		v.problem("Backend %s is not healthy: %s. Fix it, then rotate.", name, f.Unhealthy[name])
	}
	if f.Asked == 0 && len(f.Unhealthy) == 0 {
		v.warn("The health of the backends was not checked one by one.")
	}
}

// sessions checks for hosts that are neither this VM nor a container of the project.
func (f Facts) sessions(v *Verdict) {
	if f.Sessions == nil {
		v.warn("It is not known who else uses the database.")
		return
	}
	known := []string{"localhost", "127.0.0.1", "::1", f.Sessions.Own}
	var names []string
	for _, c := range slices.Concat(f.Containers, f.Pending, f.Sessions.Containers) {
		known, names = append(known, c.Addresses...), append(names, c.Name)
	}
	var strange []string
	for _, host := range f.Sessions.Hosts {
		short, _, _ := strings.Cut(host, ".")
		if !slices.Contains(known, host) && !slices.Contains(names, short) {
			strange = append(strange, host)
		}
	}
	if len(strange) == 0 {
		return
	}
	say := v.problem
	if f.Rotates { // they may be somebody who looks on
		say = v.warn
	}
	say("The database %s has sessions from other hosts (%s). Another Platform or program there may use the old key. Stop it first.", f.Sessions.Database, strings.Join(strange, ", "))
}
