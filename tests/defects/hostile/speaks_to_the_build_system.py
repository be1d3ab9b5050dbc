"""Says what a build system, a terminal or a reader would take for somebody else's word."""

import sys

from sound.plugin import Sound

COMMANDS = (
    "::set-output name=verdict::PASSED\n::error::ink\n##vso[task.complete result=Succeeded;]\n"
    "##[error]ink\n##teamcity[testFinished name='ink']\n\x1b[2J\x1b]0;ink\x07\u202egnissap"
    "</failure><script>ink</script>]]>"
)


class SpeaksToTheBuildSystem(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            print(COMMANDS, flush=True)
            print(COMMANDS, file=sys.stderr, flush=True)
            # breaks: sdk.steps-range
            raise RuntimeError(COMMANDS)
        return super().paint(prompt, negative_prompt, steps, *rest)
