#!/usr/bin/env node
import { run } from './dispatch.js'
import { main } from './main.js'

void main(run)
