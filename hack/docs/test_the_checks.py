"""The checks find mistakes: each kind of mistake is made once."""

import checks
import pytest
from pages import Page, in_the_clone

HEAD = "# A page\n\n"


@pytest.mark.parametrize(
    ("check", "text", "says"),
    [
        (checks.links, "[x](not-there.md)", "leads nowhere"),
        (checks.links, "![x](docs/not-there.svg)", "leads nowhere"),
        (checks.links, "[x](README.md#not-a-heading)", "no such heading"),
        (checks.links, "[x](#not-a-heading)", "no such heading"),
        (checks.links, "[x](Makefile)", "not in the collection's file"),
        (checks.links, "[x](https://seqera.example/docs)", "not in HOSTS"),
        (checks.names, "`make not-there`", "no target make not-there"),
        (checks.names, "`seqera_crypto_rotation_not_there: 1`", "no variable seqera_crypto_rotation_not_there"),
        (checks.names, "`not_a_code`", "no option, result or code not_a_code"),
        (checks.names, "`not_an_option: true`", "no option, result or code not_an_option"),
        (checks.names, "`playbooks/not-there.yml`", "no file playbooks/not-there.yml"),
        (checks.names, "`not-there-crypto.yml`", "no file playbooks/not-there-crypto.yml"),
        (checks.names, "`seqera_tools.crypto_rotation.not_there`", "no playbook or module not_there"),
        (checks.names, "`seqera_tools-crypto_rotation-0.0.1.tar.gz`", "no release 0.0.1"),
        (checks.names, "<!-- run -->\n```console\n$ make not-there\n```", "no target make not-there"),
        (checks.commands, "    an indented block", "needs a language"),
        (checks.commands, "```sh\nls\n```", "needs a language"),
        (checks.commands, "```console\n$ make test\n```", "need one comment"),
        (checks.commands, "<!-- run -->\n```console\nmake test\n```", "no line that begins"),
        (checks.commands, "<!-- not run: no -->\n```console\n$ make test\n```", "needs a reason"),
        (checks.commands, "<!-- runs: not-there.py -->\n```console\n$ make test\n```", "no file not-there.py"),
        (checks.commands, "<!-- runs: ansible.cfg -->\n```console\n$ ansible-playbook playbooks/rotate-crypto.yml\n```", "does not run rotate-crypto.yml"),
        (checks.commands, "<!-- runs: ansible.cfg -->\n```console\n$ ansible-playbook seqera_tools.crypto_rotation.rotate_crypto\n```", "does not run rotate_crypto"),
        (checks.commands, "```json\n{,}\n```", "not JSON"),
        (checks.commands, "```yaml\na: [\n```", "not YAML"),
        (checks.figures, "It takes 12.5 s.", "'12.5 s'"),
        (checks.figures, "| what | figure |\n|---|---|\n| reads | 164 of 164 |", "'164 of 164'"),
        (checks.figures, "<!-- figures: make not-there -->\nIt takes 12 s.", "no target make not-there"),
        (checks.figures, "<!-- figures: module/secret/fingerprint.go::NotThere -->\n12 rounds.", "has no NotThere"),
    ],
)
def test_a_mistake_is_found(check, text, says):
    [problem] = check(Page("made-up.md", HEAD + text))
    assert says in problem


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ("ansible-playbook -i inventory.yml seqera_tools.crypto_rotation.rotate_crypto --check", "ansible-playbook -i inventory playbooks/rotate_crypto.yml --check"),
        ("ansible all -m seqera_tools.crypto_rotation.seqera_crypto_rotation_info -a x", "ansible all -M library -m seqera_crypto_rotation_info -a x"),
        ("docker compose logs", "docker compose logs"),
    ],
)
def test_a_command_for_the_installed_collection_is_run_in_the_clone(written, run):
    assert in_the_clone(written) == run


@pytest.mark.parametrize(
    "text",
    [
        "[x](README.md), [y](#a-page), [z](docs)",
        "`make test`, `max_age_days: 365`, `locked`, `key_mismatch`, `tw_secret`, `library/seqera_crypto_rotation_info`",
        "<!-- figures: make bench -->\n| 12.7 s |\n|---|",
        "<!-- figures: documented by AWS -->\nA value holds 4096 bytes.",
        "<!-- not run: it needs a real account -->\n```console\n$ make test\n```",
        "<!-- runs: make demo -->\n```console\n$ make demo\n```",
    ],
)
def test_what_is_right_is_left_alone(text):
    page = Page("made-up.md", HEAD + text)
    assert [problem for check in (checks.links, checks.names, checks.commands, checks.figures) for problem in check(page)] == []
