console.log('placeholder until native lands')
