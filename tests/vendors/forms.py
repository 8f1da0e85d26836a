class Forms:
    def is_form(self, request):
        return False
