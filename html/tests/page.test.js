// What index.html promises about the files beside it.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../', import.meta.url);
const page = readFileSync(new URL('index.html', folder), 'utf8');

/** @param {RegExp} pattern @param {string} text */
const all = (pattern, text) => [...text.matchAll(pattern)].map((match) => match[1] ?? '');

test('every module is fetched at once', () => {
  const modules = readdirSync(folder).filter((name) => name.endsWith('.js') && name !== 'main.js');
  assert.deepEqual(all(/rel="modulepreload" href="([^"]+)"/g, page).sort(), modules.sort());
});

test('no third party is asked for anything', () => {
  for (const name of readdirSync(folder).filter((file) => /\.(html|css|js)$/.test(file))) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    assert.deepEqual(all(/(?:src|href)="(\w+:[^"]*|\/\/[^"]*)"/g, text), [], name);
    assert.deepEqual(all(/(?:url\(|@import |from ')(\w+:[^)']*|\/\/[^)']*)/g, text), [], name);
  }
});

test('nothing in the page needs inline script or style', () => {
  assert.deepEqual(all(/\s(style|on\w+)=/g, page), []);
  assert.deepEqual(all(/<(style)\b/g, page), []);
  assert.deepEqual(all(/<script[^>]*>([^<]+)/g, page), []);
});

test('every id that the view looks for is there, once', () => {
  const view = readFileSync(new URL('view.js', folder), 'utf8');
  const wanted = all(/(?:find|onClick|onSubmit)\('([\w-]+)'/g, view);
  assert.ok(wanted.length > 15, `only ${wanted.length}`);
  const present = all(/\sid="([\w-]+)"/g, page);
  for (const id of wanted) assert.equal(present.filter((other) => other === id).length, 1, id);
});

test('every field has a label and every button a text', () => {
  const labels = all(/<label for="([\w-]+)"/g, page);
  for (const id of ['id', 'peer']) assert.ok(labels.includes(id), id);
  for (const text of all(/<button[^>]*>([^<]*)<\/button>/g, page)) assert.notEqual(text.trim(), '');
});
