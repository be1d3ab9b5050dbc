"""A picture in base64, patterns, models in evaluation mode, a query: words of danger in honest use."""

import base64
import re

from sound.plugin import Sound

# breaks: nothing
LOGO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WORDS = re.compile(r"eval|exec|__import__")


class ShipsALogoAsText(Sound):
    def never_called_in_this_test(self, model, dialog, names):
        model.eval()
        dialog.exec()
        return getattr(model, "float" + "16"), " ".join(names)
